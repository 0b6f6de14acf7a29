"""Keras models as backbones.

::

    .h5, .keras --keras--> model --layer by layer--> [block: Conv1D + its BatchNormalization, pooling, ...] -> ...
                                                     [last Dense]  left out, kept as the source head, or a block
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.inputs import Inputs
from sktransfer.exceptions import ModelFileError

_ENDINGS = (".h5", ".hdf5", ".keras")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def from_keras(
    model: Any,
    *,
    name: str | None = None,
    classes: Any = None,
    head: str = "drop",
    window_length: int | None = None,
    X: Any = None,
    inputs: Inputs | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Backbone:
    """Turn a keras network into a backbone with the same outputs.

    A Dense or Conv1D layer begins a block, which has its name. The layers behind it, up to the next such layer, belong
    to the block: activation, BatchNormalization, pooling, dropout. Layers before the first block belong to that block.
    So ``FineTuning(n_frozen_blocks=-2)`` freezes all but the last two Dense and Conv1D layers. A source head that is
    left out does not count.

    Keras takes windows of shape (n_windows, length, n_channels). The backbone takes them of shape
    (n_windows, n_channels, length), as all of sktransfer does: ``X.transpose(0, 2, 1)``.

    Parameters
    ----------
    model : path or keras model
        A ``.h5`` or ``.keras`` file, or the model itself: sequential, or functional with a single path.
    name : str or None, default=None
        Used in messages; None: the keras model's.
    classes : array-like of shape (n_classes,) or None, default=None
        Classes of the outputs of the last Dense layer, in their order. A single sigmoid output has two: the second is
        the class of output 1. The new head then begins from that layer's rows, as :class:`sktransfer.LinearHead` says.
    head : {"drop", "values", "block"}, default="drop"
        What happens to a last Dense layer with softmax, sigmoid or no activation, if `classes` is not given.
        ``"drop"``: it is left out, and a new head takes its place. ``"values"``: the same, and the head of a regressor
        begins from its rows. ``"block"``: it stays, as the last block.
    window_length : int or None, default=None
        Length of a window in samples. It is needed if the keras model takes any length and a layer depends on it.
    X : array-like of shape (n_samples, ...) or None, default=None
        Some rows or windows of the source, as the backbone takes them. Heads are then standardised by the statistics
        of their features. None: by those of the target rows, or not at all where the source head is kept.
    inputs : Inputs or None, default=None
        Names, units and scaling of the inputs; their number and shape are those of the model.
    provenance : dict or None, default=None
        Anything JSON can hold; the keras version and the file's name are added.

    Returns
    -------
    Backbone
        Its network is an ``nn.Sequential`` of standard layers. `save_backbone` stores it, and neither loading nor
        predicting needs keras.

    Raises
    ------
    ImportError
        If keras (or h5py, for ``.h5``) is not installed.
    TypeError
        If `model` is neither a path nor a keras model.
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file holds no keras model, or one that only its author's code can build.
    ValueError
        If torch has no layer that does what a layer of the model does (the message names the layer and its option), or
        the network has branches.

    Notes
    -----
    Keras runs on its torch backend, unless it is imported already or ``KERAS_BACKEND`` names another one. Code in a
    file (Lambda layers) is never run. GaussianNoise and ActivityRegularization are left out, because they change
    nothing outside training. The converted network is compared with the model on numbers between -1 and 1.

    Examples
    --------
    >>> from sktransfer import FineTuning, MLPHead, TransferClassifier, from_keras
    >>> backbone = from_keras("pretrained_fault_detection_model.h5")  # doctest: +SKIP
    >>> head, strategy = MLPHead(hidden_layer_sizes=(64,), dropout=0.5), FineTuning(n_frozen_blocks=-2)
    >>> clf = TransferClassifier(backbone, head=head, strategy=strategy).fit(X, y)  # doctest: +SKIP
    """
    from sktransfer.convert.keras_graph import compare, inputs_of, read_network
    from sktransfer.convert.source_head import as_sequential, make_backbone

    if head == "block" and classes is not None:
        raise ValueError("from_keras: with head='block' the last layer is a block, and classes have nothing to name.")
    file = Path(model) if isinstance(model, str | os.PathLike) else None
    if file is not None:
        _check_file(file)
    keras = _import_keras()
    loaded = model if file is None else _load(keras, file)
    if not isinstance(loaded, keras.Model):
        raise TypeError(f"from_keras takes a .h5 or .keras file or a keras model, got {type(loaded).__name__}.")
    blocks, shape = read_network(loaded, window_length)
    inputs = inputs_of(shape, inputs)
    compare(keras, loaded, as_sequential(blocks).eval(), inputs)
    return make_backbone(
        "from_keras",
        None,
        blocks,
        head=head,
        classes=classes,
        X=X,
        name=loaded.name if name is None else name,
        inputs=inputs,
        provenance={"keras": keras.__version__, **({"file": file.name} if file else {}), **(provenance or {})},
    )


# ---- files


def _check_file(file: Path) -> None:
    """Say what is wrong with a file before keras is imported and asked to read it."""
    if file.is_dir():
        raise ModelFileError(
            f"from_keras: {file} is a folder. A TensorFlow SavedModel must be saved as .keras where TensorFlow is "
            "installed: model.save('model.keras')."
        )
    if not file.is_file():
        raise FileNotFoundError(f"from_keras: there is no file {str(file)!r}.")
    if file.suffix.lower() not in _ENDINGS:
        raise ModelFileError(f"from_keras reads {', '.join(_ENDINGS)}; {file.name} is neither.")
    with file.open("rb") as stream:
        is_hdf5 = stream.read(8) == _HDF5
    if is_hdf5 if file.suffix.lower() == ".keras" else not is_hdf5:
        kind = "a keras file, which is a zip archive" if file.suffix.lower() == ".keras" else "an HDF5 file"
        raise ModelFileError(f"from_keras: {file} is not {kind}: damaged, or something else under this name.")


def _load(keras: Any, file: Path) -> Any:
    """The model in the file, which must need no classes but keras's own."""
    try:
        text = _stored_config(file)
        config = None if text is None else json.loads(text)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"from_keras: {file} holds no keras model that can be read ({error}).") from error
    if config is None:
        raise ModelFileError(
            f"from_keras: {file} holds weights and no model. Build the model in keras, load_weights({file.name!r}), "
            "and pass the model."
        )
    _refuse_code(file, config)
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # keras raises errors of many kinds for a file that it cannot read
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"from_keras: keras {keras.__version__} cannot read {file}: {first} If it can be loaded where it was made, "
            "pass the loaded model."
        ) from error


def _stored_config(file: Path) -> str | bytes | None:
    """The model's description as JSON; None if the file holds weights alone."""
    if file.suffix.lower() == ".keras":
        with zipfile.ZipFile(file) as archive:
            return archive.read("config.json")
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError("from_keras needs h5py for .h5 files: pip install 'sktransfer[keras]'.") from error
    with h5py.File(file, "r") as content:
        return content.attrs.get("model_config")


def _refuse_code(file: Path, config: Any) -> None:
    """Refuse descriptions that name functions or classes outside keras, or hold code."""
    if isinstance(config, list):
        for item in config:
            _refuse_code(file, item)
    elif isinstance(config, dict):
        kind, home = config.get("class_name"), config.get("module")
        outside = isinstance(home, str) and home.split(".")[0] not in ("keras", "builtins")
        if kind in ("Lambda", "__lambda__") or outside or (home == "builtins" and kind not in ("function", "slice")):
            raise ModelFileError(
                f"from_keras: {file} needs code that is not keras's: {kind} of {home or 'the file itself'}. Code of a "
                "file is never run. Load it where it was made, cut the layer off, and pass the model."
            )
        for item in config.values():
            _refuse_code(file, item)


def _import_keras() -> Any:
    """keras, on its torch backend unless it is imported already or the environment says otherwise."""
    chosen = "keras" in sys.modules or "KERAS_BACKEND" in os.environ
    if not chosen:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        keras = importlib.import_module("keras")
    except ImportError as error:
        raise ImportError(f"from_keras needs keras 3: pip install 'sktransfer[keras]' ({error}).") from error
    finally:
        if not chosen:
            del os.environ["KERAS_BACKEND"]
    if int(keras.__version__.split(".")[0]) < 3:
        raise ImportError(f"from_keras needs keras 3 and found {keras.__version__}: pip install -U 'keras>=3'.")
    return keras
