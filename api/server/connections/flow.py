"""Decides when the server reads from a connection: it stops while a client is too far ahead of its replies."""

from uvicorn.protocols.http.flow_control import FlowControl


class ReadFlow(FlowControl):
    """uvicorn resumes reading whenever the application wants more. While `hold` is in force, that has no effect."""

    is_held = False

    def hold(self) -> None:
        self.pause_reading()
        self.is_held = True

    def release(self) -> None:
        self.is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()
