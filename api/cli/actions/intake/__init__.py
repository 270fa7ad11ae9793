"""Actions that process batches and offers files of this machine."""
