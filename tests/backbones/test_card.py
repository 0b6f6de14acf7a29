"""The card of a backbone, the list of shipped ones, and what sources print."""

import copy
import html
import pickle

import numpy as np
import pytest

from sktransfer import FromScratch, Inputs, Source, TransferRegressor, list_backbones, load_backbone
from sktransfer.backbones.card import Card
from tests.helpers import small_backbone

SHIPPED = ("process", "tep-process", "vibration")


def lines_of(card):
    """Label to text, read off the printed card: labels stand in the third column, their text begins in one column."""
    found, label = {}, None
    for line in str(card).splitlines()[1:]:
        if line[2] != " ":
            label, _, text = line[2:].partition("  ")
            found[label] = text.strip()
        else:
            found[label] += " " + line.strip()
    return found


def test_shipped_backbones_are_listed_with_a_line_each():
    listed = list_backbones()
    assert tuple(listed) == SHIPPED
    for name, line in listed.items():
        backbone = load_backbone(name)
        assert "\n" not in line
        assert f"{backbone.n_features_out} features, {len(backbone.source.classes)} classes" in line
        assert backbone.provenance["data"] in line
    assert listed["tep-process"].startswith("rows of 53 columns")
    assert listed["vibration"].startswith("windows of any number of channels")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_holds_what_the_file_says(name):
    backbone = load_backbone(name)
    card = lines_of(backbone.card)
    known = backbone.provenance
    assert card["source head"] == f"{len(backbone.source.classes)} classes: " + ", ".join(backbone.source.classes)
    assert card["scaling"] == backbone.inputs.scaling
    assert card["trained on"] == f"{known['data']}; {known['task']}"
    assert (card["samples"], card["licence"]) == (str(known["n_samples"]), known["licence"])
    assert card["gives"] == f"{backbone.n_features_out} features"
    assert card["blocks"].startswith(", ".join(backbone.blocks))
    assert card["limits"] == "; ".join(known["limits"])
    assert card["limits"].endswith(f"{name}.md beside the file")
    assert known["versions"]["torch"] in card["versions"]
    assert max(map(len, str(backbone.card).splitlines()[1:])) <= 110
    if backbone.inputs.names is not None:
        pairs = zip(backbone.inputs.names, backbone.inputs.units, strict=True)
        assert card["columns"] == ", ".join(f"{column} ({unit})" for column, unit in pairs)


def test_the_card_says_rates_ranges_and_what_is_not_known():
    assert lines_of(load_backbone("vibration").card)["takes"] == (
        "windows of any number of channels and any number of samples, at 50 to 100000 Hz, through the front end "
        "'envelope'"
    )
    built = FromScratch().build(n_features_in=3)
    card = lines_of(built.card)
    assert card["source head"] == "none"
    assert (card["range"], card["scaling"], card["trained on"]) == ("not known", "not said", "not said")
    ranged = built.describe(inputs=Inputs(n=3, minimum=np.array([-1.0, 0, -3]), maximum=np.array([1.0, 4, 2])))
    assert lines_of(ranged.card)["range"].startswith("scaled values from -3 to 4; ")
    assert lines_of(ranged.card)["range"].endswith("they begin between -3 and 0 and end between 1 and 4")
    X = np.random.default_rng(0).normal(size=(50, 3))
    fitted = TransferRegressor(max_epochs=1).fit(X, X[:, :2]).backbone_
    assert lines_of(fitted.card)["source head"] == "a regression of 2 values"
    limited = built.describe(provenance={"limits": ["one machine", "no start-up"], "rate": {"hz": 5}})
    assert (lines_of(limited.card)["limits"], lines_of(limited.card)["rate"]) == ("one machine; no start-up", "hz 5")


def test_a_notebook_shows_a_table_and_text_of_a_file_is_shown_as_text():
    wild = FromScratch().build(2).describe(name="<script>x</script>", provenance={"data": "a\x1b[31m\n<b>red</b>"})
    shown = wild._repr_html_()
    assert shown == wild.card._repr_html_()
    assert "<script>" not in shown
    assert html.escape("<b>red</b>") in shown
    assert "\x1b" not in wild.card
    assert len(wild.card.splitlines()) == len(FromScratch().build(2).card.splitlines())
    assert shown.count("<tr>") == len(wild.card.splitlines()) - 1


def test_a_card_is_text_that_can_be_copied_and_stored():
    card = load_backbone("process").card
    assert repr(card) == str(card)
    for other in (copy.deepcopy(card), pickle.loads(pickle.dumps(card))):
        assert isinstance(other, Card)
        assert (other, other._repr_html_()) == (card, card._repr_html_())


def test_a_source_prints_in_one_line():
    source = small_backbone(max_epochs=1).source
    assert repr(source) == "Source(16 features, 3 classes: leak, normal, wear)"
    many = Source(np.zeros(2), np.ones(2), np.zeros((4, 2)), np.zeros(4), np.array([1, 2, 3, 4]))
    assert repr(many) == "Source(2 features, 4 classes: 1, 2, 3, ...)"
    assert repr(Source(np.zeros(2), np.ones(2), np.zeros((1, 2)), np.zeros(1))) == "Source(2 features, 1 value)"
    assert repr(Source(np.zeros(2), np.ones(2))) == "Source(2 features, no head)"
