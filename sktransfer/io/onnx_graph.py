"""Nodes of an ONNX graph, written one after the other: the one place that knows how skl2onnx keeps them.

::

    graph("Sub", x, center) --> name of the difference --> graph("Div", ..., scale) --> ... --> graph.name_as(...)
"""

from __future__ import annotations

from typing import Any

import numpy as np

LEAST_OPSET = 18  # since then the axes of ReduceMean and ReduceMax are an input


class Graph:
    """The graph that skl2onnx is building, as a function: an operator and its inputs give the name of the output.

    Parameters
    ----------
    scope : skl2onnx.common._topology.Scope
        Gives names that are free.
    container : skl2onnx.common._container.ModelComponentContainer
        Gets the nodes and the constants.

    Raises
    ------
    ValueError
        If the file is to be written in an opset below 18.
    """

    def __init__(self, scope: Any, container: Any):
        self._scope, self._container = scope, container
        if container.target_opset < LEAST_OPSET:
            raise ValueError(
                f"The converters of sktransfer write opset {LEAST_OPSET} and later; got target_opset="
                f"{container.target_opset}. Leave target_opset out, or raise it."
            )

    def __call__(self, operator: str, *inputs: str | np.ndarray, domain: str = "", **attributes: Any) -> str:
        """Add a node; inputs are names of values, or arrays, which become constants.

        Returns
        -------
        str
            Name of the output.
        """
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = self._scope.get_unique_variable_name(operator.lower())
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, names, [output], op_domain=domain, name=name, **attributes)
        return output

    def _constant(self, value: np.ndarray) -> str:
        from onnx import numpy_helper

        name = self._scope.get_unique_variable_name("constant")
        array = np.asarray(value, order="C")  # not ascontiguousarray, which gives a scalar an axis
        if array.dtype.kind in "UO":
            from onnx import TensorProto

            self._container.add_initializer(name, TensorProto.STRING, list(array.shape), [str(v) for v in array.flat])
        else:
            self._container.add_initializer(name, None, None, numpy_helper.from_array(array))
        return name

    def cast(self, x: str, dtype: Any) -> str:
        """`x` as numbers of this numpy type."""
        from onnx import helper

        return self("Cast", x, to=int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype))))

    def reshaped(self, x: str, *shape: int) -> str:
        """`x` in another shape; one size may be -1, and only the first may be the number of rows."""
        return self("Reshape", x, np.array(shape, dtype=np.int64))

    def reduced(self, operator: str, x: str, *axes: int, keepdims: bool = False) -> str:
        """Mean, sum or maximum of `x` along axes."""
        return self(operator, x, np.array(axes, dtype=np.int64), keepdims=int(keepdims))

    def part(self, x: str, start: int, stop: int, axis: int) -> str:
        """Places `start` to `stop` of `x` along an axis."""
        ends = (np.array([value], dtype=np.int64) for value in (start, stop, axis))
        return self("Slice", x, *ends)

    def name_as(self, x: str, output: str) -> None:
        """Give the value `x` the name that skl2onnx chose for an output."""
        self._container.add_node("Identity", [x], [output], name=self._scope.get_unique_operator_name("Identity"))
