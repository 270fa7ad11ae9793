"""Request bodies: strict JSON, large arrays, multipart, content codings."""
