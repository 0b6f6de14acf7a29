"""From nodes to objects: only what is trusted, and nothing before all of it was looked at."""

import io
import sys

import numpy as np
import pytest
import skops.io
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from sktransfer import TRUSTED_TYPES, BaselineScaler, LinearProbing, ModelFileError, TransferClassifier, load, save
from sktransfer.io.model_file_reader import array_of, model_of, types_in
from sktransfer.io.model_file_state import entries_of
from tests.helpers import moons, small_backbone
from tests.io.forge import nodes, number, objects, parts, write

X, y = moons(60)


@pytest.fixture(scope="module")
def fitted():
    return TransferClassifier(small_backbone(max_epochs=2), strategy=LinearProbing(), random_state=0).fit(X, y)


@pytest.fixture
def file(fitted, tmp_path):
    return save(fitted, tmp_path / "model.skops")


def turn(value):
    """Through entries and back."""
    entries = entries_of(value)
    return model_of(entries, types_in(entries))


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -0.5, float("inf"), "é\n", [1, [2.5, None]], (1, ("a",), ()), {"a": 1, "b": {"c": []}},
     {1: "a", 2.5: "b", True + 1: "c"}, {True: 2.0, False: 1.0}, {None: 1}, {3, 1, 2}, frozenset({"x"}),
     slice(1, None, 2), np.float32(0.1), np.int64(7), np.str_("a"), np.bool_(True), np.float64,
     np.dtype("<f4"), np.log1p, int],
)  # fmt: skip
def test_values_come_back_with_their_types(value):
    found = turn(value)
    assert type(found) is type(value)
    assert found == value
    if isinstance(value, dict):
        assert [type(key) for key in found] == [type(key) for key in value]


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["a", "bcd"]),
     np.zeros((0, 3)), np.array([1, "a", None], dtype=object), np.array([["a", 1], [None, 2.0]], dtype=object),
     np.array(5.0),
     np.array(["2026-01-01"], "datetime64[us]"), np.array([True, False]), np.ones(3, np.float16)],
)  # fmt: skip
def test_arrays_come_back_bit_by_bit(array):
    found = turn({"a": array, "again": array})
    np.testing.assert_array_equal(found["a"], array)
    assert (found["a"].dtype, found["a"].shape) == (array.dtype, array.shape)
    assert found["a"].flags.f_contiguous == array.flags.f_contiguous
    assert found["again"] is found["a"]  # once in the file, once in memory
    assert found["a"].flags.writeable or array.dtype.hasobject


def test_masked_arrays_and_random_states_come_back():
    masked = np.ma.MaskedArray([1.0, 2.0], [False, True])
    found = turn({"masked": masked, "state": np.random.RandomState(3)})
    assert (found["masked"].filled(-1) == [1, -1]).all()
    assert found["state"].randint(1000) == np.random.RandomState(3).randint(1000)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_generators_come_back_and_go_on_where_they_were(kind):
    generator = np.random.Generator(kind(5))
    generator.random(3)
    found = turn(generator)
    assert found.random() == generator.random()
    assert found.spawn(1)[0].random() == generator.spawn(1)[0].random()


@pytest.mark.parametrize("name", ["seed", "set_bit_generator", "BitGenerator", "Generator", "__class__"])
def test_a_generator_is_made_by_numpy_s_own_alone(name):
    entries = entries_of(np.random.default_rng(0))
    hostile = {**entries, "schema.json": entries["schema.json"].replace(b'"\\"PCG64\\""', f'"\\"{name}\\""'.encode())}
    assert hostile != entries
    with pytest.raises(ValueError, match="no kind"):
        model_of(hostile, ())
    wide = {**entries, "schema.json": entries["schema.json"].replace(b'"content":"4"', b'"content":"1000000000"')}
    with pytest.raises(ValueError, match="a pool of 1000000000"):
        model_of(wide, ())


def test_skops_reads_the_file_independently(fitted, file):
    asked = skops.io.get_untrusted_types(file=file)
    assert all(name.startswith("sktransfer.") for name in asked)
    np.testing.assert_array_equal(skops.io.load(file, trusted=asked).predict_proba(X), fitted.predict_proba(X))


def test_skops_reads_what_is_rare_and_the_caller_trusts(tmp_path):
    pipeline = make_pipeline(FrozenEstimator(BaselineScaler().fit(X)), DecisionTreeClassifier(random_state=0)).fit(X, y)
    file = save(pipeline, tmp_path / "tree.skops")
    with pytest.raises(ModelFileError, match=r"not trusted: \['sklearn\.tree\._classes\.DecisionTreeClassifier'"):
        load(file)
    trusted = (*TRUSTED_TYPES, "sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree._tree.Tree")
    np.testing.assert_array_equal(load(file, trusted=trusted).predict_proba(X), pipeline.predict_proba(X))


@pytest.mark.parametrize(
    ("module", "name"), [("subprocess", "Popen"), ("os", "system"), ("builtins", "eval"), ("builtins", "__import__"),
                         ("numpy", "load"), ("skorch.classifier", "NeuralNetClassifier"), ("torch", "load"),
                         ("sktransfer.estimators.base", "TransferEstimator"), ("antigravity", "fly")],
)  # fmt: skip
@pytest.mark.parametrize("loader", ["ObjectNode", "FunctionNode", "TypeNode", "ConstructorFromReduceNode", "DictNode"])
def test_a_type_that_nobody_trusts_is_refused_before_anything_is_imported(file, tmp_path, module, name, loader):
    schema, manifest, entries = parts(file)
    hostile = {"__class__": name, "__module__": module, "__loader__": loader, "content": number("true")}
    objects(schema, "LinearProbing")[0]["content"]["content"]["alpha"] = hostile
    with pytest.raises(ModelFileError, match=f"not trusted: .*{name}"):
        load(write(tmp_path / "forged.skops", schema, manifest, entries))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("loader", ["BytesNode", "BytearrayNode", "MethodNode", "PartialNode", "OperatorFuncNode",
                                    "SparseMatrixNode", "ReduceNode", "read", "_class", 7, None])  # fmt: skip
def test_a_kind_of_node_that_is_not_read_is_refused(file, tmp_path, loader):
    schema, manifest, entries = parts(file)
    objects(schema, "LinearProbing")[0]["content"]["content"]["alpha"] |= {"__loader__": loader, "file": "0.npy"}
    with pytest.raises(ModelFileError, match=r"kinds .*are not read"):
        load(write(tmp_path / "forged.skops", schema, manifest, entries))


def test_a_trusted_name_in_the_wrong_place_is_refused(file, tmp_path):
    for loader, name in (("DictNode", "numpy.log"), ("ListNode", "builtins.dict"), ("ObjectNode", "numpy.log"),
                         ("TupleNode", "builtins.list"), ("ConstructorFromReduceNode", "builtins.dict"),
                         ("NdArrayNode", "numpy.dtype")):  # fmt: skip
        schema, manifest, entries = parts(file)
        module, _, kind = name.rpartition(".")
        listed = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
        changed = {"__class__": kind, "__module__": module, "__loader__": loader, "content": [], "file": "0.npy"}
        changed |= {"key_types": listed, "type": "numpy"}
        if loader == "ConstructorFromReduceNode":
            changed["content"] = listed
        objects(schema, "LinearProbing")[0]["content"]["content"]["alpha"] = changed
        with pytest.raises(ModelFileError, match=r"holds no model|asks for types"):
            load(write(tmp_path / "forged.skops", schema, manifest, entries))


def test_a_file_without_end_is_refused(file, tmp_path):
    schema, manifest, entries = parts(file)
    deep = number(1)
    for _ in range(250):
        deep = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [deep]}
    for hostile in (deep, {"__class__": "a", "__module__": "b", "__loader__": "CachedNode", "__id__": 1}):
        objects(schema, "LinearProbing")[0]["content"]["content"]["alpha"] = hostile
        with pytest.raises(ModelFileError):
            load(write(tmp_path / "forged.skops", schema, manifest, entries))


def test_a_reference_to_nothing_is_refused(file, tmp_path):
    schema, manifest, entries = parts(file)
    dangling = {"__class__": "dict", "__module__": "builtins", "__loader__": "CachedNode", "__id__": 99_999}
    objects(schema, "LinearProbing")[0]["content"]["content"]["alpha"] = dangling
    with pytest.raises(ModelFileError, match="99999"):
        load(write(tmp_path / "forged.skops", schema, manifest, entries))


def npy(array=None, shape=None):
    stream = io.BytesIO()
    np.save(stream, np.arange(6.0) if array is None else array, allow_pickle=True)
    content = stream.getvalue()
    if shape is None:
        return content
    old = b"(6,), }"
    return content.replace(old + b" " * (len(shape) - len(old)), shape)


@pytest.mark.parametrize("shape", [b"(1000000000,), }", b"(7,), }", b"(5,), }", b"(-6,), }", b"(-2, -3), }",
                                   b"(1000000000, 0), }", b"(2, 1000000000), }", b"((6,),), }"])  # fmt: skip
def test_a_header_that_asks_for_more_than_there_is_is_refused(shape):
    with pytest.raises((ValueError, TypeError)):
        array_of(npy(shape=shape))
    np.testing.assert_array_equal(array_of(npy()), np.arange(6.0))


def test_an_array_of_objects_is_never_unpickled(file, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (Path("ran"),))

    from pathlib import Path

    with pytest.raises(ValueError, match="does not fit"):
        array_of(npy(np.array([Bomb()], dtype=object)))
    schema, manifest, entries = parts(file)
    name = next(node["file"] for node in nodes(schema) if "file" in node)
    with pytest.raises(ModelFileError):
        load(write(tmp_path / "f.skops", schema, manifest, {**entries, name: npy(np.array([Bomb()], dtype=object))}))
    assert not Path("ran").exists()
