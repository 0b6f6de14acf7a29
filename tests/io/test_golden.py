"""Files of released versions are read by this one, and answer as they did."""

import json
import warnings

import numpy as np
import pytest

from sktransfer import ModelFileError, TransferClassifier, inspect_file, load
from sktransfer.io.model_file_zip import unpack
from tests.helpers import moons
from tests.io.make_golden import FOLDER, answers

FILES = sorted(FOLDER.glob("*.skops"))
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


def test_there_is_one_of_each_kind_and_all_are_small():
    assert {path.stem for path in FILES} == set(EXPECTED)
    kinds = {"classifier", "regressor", "detector", "pipeline", "search", "calibrated", "cuda", "open_set", "fleet"}
    assert set(EXPECTED) == kinds | {"monitor", "monitor_of_windows"}
    assert max(path.stat().st_size for path in FILES) < 64_000  # most of it is the schema of the parts


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
# later versions read them, too
@pytest.mark.filterwarnings("ignore::sktransfer.utils.model_version_warning.ModelVersionWarning")
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_a_golden_file_answers_as_it_did(path):
    np.testing.assert_allclose(answers(load(path)), EXPECTED[path.stem], rtol=0, atol=1e-5)
    card = inspect_file(path)
    assert card.notes == "golden file of release 0.1.0"
    assert (card.versions["sktransfer"], card.format, card.metrics) == ("0.1.0", 1, {"rows": 60})


@pytest.mark.filterwarnings("ignore::sktransfer.utils.model_version_warning.ModelVersionWarning")
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_a_file_of_a_cuda_box_holds_no_trace_of_its_device_but_a_parameter():
    # arrays have no location; all that is left of CUDA is the text of the parameter ``device``
    path = FOLDER / "cuda.skops"
    entries = unpack(str(path), path.read_bytes())
    assert [name for name, content in entries.items() if b"cuda" in content] == ["schema.json"]
    assert entries["schema.json"].count(b"cuda") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = load(path)
    assert (model.device, model.device_) == ("cpu", "cpu")
    assert load(path, device=None).device == "cuda:1"
    X, y = moons(40)
    again = model.fit(X, y)  # as on a CPU box
    twin = TransferClassifier(**{**again.get_params(deep=False)}).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), twin.predict_proba(X))


def test_one_flipped_bit_in_a_golden_file_is_refused(tmp_path):
    content = bytearray(FILES[0].read_bytes())
    content[len(content) // 2] ^= 8
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(ModelFileError, match="checksum"):
        load(tmp_path / "model.skops")
