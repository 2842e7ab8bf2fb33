"""Errors a user can fix. Each text reads `where: what is wrong (the value); what to do`.

Anything else that is raised is a fault of ours and keeps its traceback.
"""


class FewmasksError(Exception):
    """The user can fix this; the command line prints it as one line and exits with 2."""


class FormatError(FewmasksError):
    """A file is missing, damaged, or of a kind that fewmasks does not read."""


class GeometryError(FewmasksError):
    """Two files that should describe the same pixels do not (size, axes, channels)."""


class ProjectError(FewmasksError):
    """The project folder, its version or its state does not allow what was asked."""


class ConfigError(FewmasksError):
    """An option, a setting or a table column has a name or value that cannot be used."""


class EvidenceError(FewmasksError):
    """Evidence for a strategy is missing or not finite; names the item."""


class MissingExtra(FewmasksError):
    """An optional library is not installed; the text says which extra brings it."""

    @classmethod
    def of(cls, what: str, extra: str) -> "MissingExtra":
        """The error for a library that an extra brings."""
        return cls(f"{what}: not installed; run: pip install 'fewmasks[{extra}]'")
