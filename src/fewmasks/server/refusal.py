"""What a request is told when it may not have what it asks for."""

from collections.abc import Mapping

from fewmasks.errors import FewmasksError


class Refusal(FewmasksError):
    """A request that is refused: its HTTP status, one sentence, and what else the page can use."""

    def __init__(
        self, status: int, sentence: str, more: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.more = dict(more or {})
