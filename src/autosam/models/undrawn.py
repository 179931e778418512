"""Networks whose random weights are not drawn, for those that get others at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

_DRAWS = (
    Tensor.uniform_,
    Tensor.normal_,
    init.uniform_,
    init.normal_,
    init.trunc_normal_,
    init.kaiming_uniform_,
    init.kaiming_normal_,
    init.xavier_uniform_,
    init.xavier_normal_,
)


class Undrawn(TorchFunctionMode):
    """A ``with`` block in which new layers keep whatever lies in their memory.

    Drawing the weights of a bundled model takes half of the time of loading it. Only for networks all of whose
    tensors are copied from a file, or left alone. Weights that start as zeros or ones still do.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Give the tensor back undrawn; call every other function."""
        if func in _DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
