"""Human judgement into behaviour: reinforcement learning from human feedback, end to end, in one loop."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plaudit.client import Client

__all__ = ["Client", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # nothing else is here, and `plaudit --version` need not wait for numpy
    if name == "Client":
        from plaudit.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
