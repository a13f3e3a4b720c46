"""Choosing MLX's default device, with a probe that it works."""

from __future__ import annotations

import mlx.core as mx


def use_device(name: str, index: int = 0) -> mx.Device:
    """Make device `name` MLX's default and check that it can compute.

    Parameters
    ----------
    name : {"cpu", "gpu"}
    index : int
        Which device of that type.

    Returns
    -------
    mlx.core.Device

    Raises
    ------
    ValueError
        `name` is not a device type.
    RuntimeError
        The device is not available; the default is left as it was.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.use_device("cpu")
    Device(cpu, 0)
    """
    if name not in ("cpu", "gpu"):
        raise ValueError(f"name must be 'cpu' or 'gpu'; got {name!r}")
    before = mx.default_device()
    device = mx.Device(mx.DeviceType.cpu if name == "cpu" else mx.DeviceType.gpu, index)
    try:
        mx.set_default_device(device)
        mx.eval(mx.ones(4) + 1)
    except Exception as error:
        mx.set_default_device(before)
        hint = "" if mx.is_available(device.type) else "; on Linux the extras cuda12 and cuda13 bring MLX's back end"
        raise RuntimeError(f"device {name}:{index} is not available: {error}{hint}") from None
    return device


def use_cpu(index: int = 0) -> mx.Device:
    """Make the CPU MLX's default device. See `use_device`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.use_cpu()
    Device(cpu, 0)
    """
    return use_device("cpu", index)


def use_gpu(index: int = 0) -> mx.Device:
    """Make a GPU MLX's default device. See `use_device`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> try:
    ...     device = sp.use_gpu()
    ... except RuntimeError:  # there is none
    ...     device = sp.use_cpu()
    """
    return use_device("gpu", index)
