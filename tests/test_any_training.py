"""Training a network of any style: the gallery, the model, a run, its sheet and losses."""

import collections
import io

import keras
import numpy as np
import pytest
from PIL import Image

from tfstyle.config import training_with
from tfstyle.losses import terms_of
from tfstyle.networks import AnyNet, CrispNet, FeatureExtractor, LeanNet
from tfstyle.painting.instant import Paintings
from tfstyle.training.any_style import AnyStyleModel
from tfstyle.training.data import batches
from tfstyle.training.feed_forward import _may_start_from_any, train
from tfstyle.training.gallery import HELD_OUT, Gallery

TINY = {
    "config": "any",
    "width": 0.125,
    "blocks": 0,
    "sizes": (32,),
    "content_size": (32, 40),
    "painting_size": (32, 48),
    "batch_size": 2,
    "steps": 6,
    "precision": "float32",
    "content_layers": ("block2_conv1",),
    "style_layers": ("block1_conv1", "block2_conv1"),
}


def level(number):
    """The grey of the painting of that number."""
    return 5 * number


@pytest.fixture
def paintings(tmp_path):
    """A folder of forty grey paintings, 00.png to 39.png: 05 to 09 are of one group, 10 to 39 of
    another, the rest of none."""
    folder = tmp_path / "paintings"
    folder.mkdir()
    rows = ["file\tpainter\tgroup"]
    for number in range(40):
        name = f"{number:02}.png"
        Image.new("RGB", (40, 36), (level(number),) * 3).save(folder / name)
        if number >= 5:
            rows.append(f"{name}\tnobody\t{'print' if number < 10 else 'oil'}")
    (folder / "sources.tsv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch, fake_vgg):
    """A current folder with photos/ and paintings/ of coarse noise; the loss network is tiny."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, count in (("photos", 3), ("paintings", HELD_OUT + 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            noise = Image.fromarray(random.integers(0, 256, (4 + i, 6, 3), dtype=np.uint8))
            noise.resize((60, 52)).save(tmp_path / name / f"{i:02}.png")
    return tmp_path


# The gallery


def test_every_twentieth_painting_is_kept_out(paintings):
    gallery = Gallery(paintings)
    assert [read().name for read in gallery.unseen] == ["00.png", "20.png"]
    assert len(gallery) == 38
    assert not {"00.png", "20.png"} & set(gallery.names)
    assert [gallery.read(number).name for number in range(len(gallery))] == gallery.names


def test_of_few_paintings_none_is_kept_out(paintings):
    for path in sorted(paintings.glob("*.png"))[HELD_OUT - 1 :]:
        path.unlink()
    gallery = Gallery(paintings)
    assert (len(gallery), gallery.unseen) == (HELD_OUT - 1, [])


def test_groups_are_drawn_by_the_square_root_of_their_size(paintings):
    gallery = Gallery(paintings)
    assert gallery.groups == {"": 4, "print": 5, "oil": 29}
    drawn = collections.Counter(
        "" if name < "05" else "print" if name < "10" else "oil"
        for name in (gallery.names[gallery.number(position)] for position in range(4000))
    )
    roots = {group: np.sqrt(count) for group, count in gallery.groups.items()}
    for group, root in roots.items():
        assert drawn[group] / 4000 == pytest.approx(root / sum(roots.values()), abs=0.03)
    (paintings / "sources.tsv").unlink()
    assert Gallery(paintings).groups == {"": 38}


def test_what_is_drawn_follows_from_seed_and_position(paintings):
    gallery = Gallery(paintings)
    numbers = [gallery.number(position, seed=1) for position in range(20)]
    assert numbers == [Gallery(paintings).number(position, seed=1) for position in range(20)]
    assert numbers != [gallery.number(position, seed=2) for position in range(20)]
    first, again = (gallery.crop(7, 32, (32, 36)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_gallery_keeps_to_its_record(paintings):
    before = Gallery(paintings)
    record, numbers = before.record(), [before.number(position) for position in range(20)]
    assert len(record) == 40
    for name in ("07.png", "20.png"):  # one that is drawn, one that is kept out
        (paintings / name).unlink()
    after = Gallery(paintings)
    after.keep_to(record)
    assert after.names == before.names
    assert [after.number(position) for position in range(20)] == numbers
    assert [read().name for read in after.unseen] == ["00.png"]
    assert sorted(after.bad) == ["07.png", "20.png"]
    (paintings / "08.png").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"that are new or changed: 08\.png\."):
        Gallery(paintings).keep_to(record)


def test_crops_are_often_of_other_colors(paintings):
    gallery = Gallery(paintings)
    own = [
        gallery.crop(position, 32, (32, 36)).mean() == level(int(name[:2]))
        for position in range(200)
        for name in [gallery.names[gallery.number(position)]]
    ]
    assert 0.3 < np.mean(own) < 0.6


def test_a_broken_painting_is_replaced_and_named(paintings):
    (paintings / "07.png").write_bytes(b"no picture")
    gallery = Gallery(paintings)
    for position in range(200):
        gallery.crop(position, 32, (32, 36))
    assert list(gallery.bad) == ["07.png"]


@pytest.mark.parametrize(
    "table", [b"name,style\n", b"file\tgroup\ncaf\xe9.jpg\toil\n", b"file\tgroup\n" + b"x" * 200000]
)
def test_a_table_without_groups_is_refused(paintings, table):
    (paintings / "sources.tsv").write_bytes(table)
    with pytest.raises(
        ValueError, match=r"sources\.tsv' must be a table in UTF-8 with the columns"
    ):
        Gallery(paintings)


def test_a_table_of_a_spreadsheet_is_read(paintings):
    table = paintings / "sources.tsv"
    table.write_text(table.read_text("utf-8"), encoding="utf-8-sig")
    assert set(Gallery(paintings).groups) == {"", "oil", "print"}


def test_batches_pair_photographs_with_paintings(paintings):
    gallery = Gallery(paintings)
    dataset = batches(gallery, 32, (32, 36), 2, first=3, gallery=(gallery, (40, 48)))
    ((photographs, painted),) = next(iter(dataset))
    assert (photographs.shape, painted.shape) == ((2, 32, 32, 3), (2, 40, 40, 3))
    expected = [gallery.crop(position, 40, (40, 48)) for position in (6, 7)]
    np.testing.assert_allclose(painted, np.float32(expected) / 255, atol=1e-6)


# The model


@pytest.mark.slow
def test_the_model_paints_each_photograph_in_the_style_of_each_painting(tiny_network):
    config = training_with(TINY["config"], **{k: v for k, v in TINY.items() if k != "config"})
    network = AnyNet(0.125, 0, num_styles=8)
    extractor = FeatureExtractor(tiny_network, config.layers)
    model = AnyStyleModel(network, extractor, terms_of(config))
    random = np.random.default_rng(0)
    photographs = random.random((2, 32, 32, 3), np.float32)
    paintings = random.random((3, 40, 40, 3), np.float32)
    painted = model((photographs, paintings))
    assert painted["pictures"].shape == (6, 32, 32, 3)
    codes = network.encode(paintings)
    third = network(photographs[:1], codes[1:2])  # the first photograph by the second painting
    np.testing.assert_allclose(painted["pictures"][2:3], third, atol=1e-4)
    same = network(photographs[:1], network.encode(photographs[:1]))
    np.testing.assert_allclose(painted["same"], same, atol=1e-4)

    # Losses are the mean over all pairs of what they are of one pair alone.
    losses = model.losses_of(painted, (photographs, paintings))
    assert set(losses) >= {"loss", "normed_content", "moments", "identity", "contrast", "code_size"}
    alone = []
    for photograph in photographs:
        for painting in paintings:
            pair = photograph[None], painting[None]
            alone.append(model.losses_of(model(pair), pair))
    for name in ("content_loss", "style_loss", "moments", "normed_content", "total_variation"):
        mean = np.mean([float(each[name]) for each in alone])
        assert float(losses[name]) == pytest.approx(mean, rel=1e-3), name


# A run


@pytest.mark.slow
def test_a_broken_run_ends_as_one_that_was_not(folder):
    arguments = {"style": "paintings", "content": "photos"} | TINY
    whole = train(output="whole.keras", **arguments)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    stopped = train(output="any.keras", callbacks=[Stop()], **arguments)
    assert stopped.card["training"]["steps_done"] == 3
    network = train(output="any.keras", **arguments)
    for mine, theirs in zip(network.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)

    loaded = keras.saving.load_model("any.keras")
    assert isinstance(loaded, AnyNet)
    for mine, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    card = loaded.card
    assert [style["name"] for style in card["styles"]] == ["any"]
    assert card["training"]["paintings"] == {"": HELD_OUT - 1}
    assert (card["training"]["held_out"], card["training"]["steps_done"]) == (2, 6)
    assert {"content_loss", "style_loss"} <= set(card["losses"]["seen"])
    assert card["losses"]["seen"].keys() == card["losses"]["unseen"].keys()


@pytest.mark.slow
def test_the_sheet_shows_seen_and_unseen_paintings(folder, capsys):
    train("paintings", "photos", "any.keras", **TINY | {"steps": 1})
    sheet = Image.open("any.training/sheet.png")
    assert sheet.size == (4 * 60, (1 + 4 + 2) * 52)
    painting = Image.open("paintings/20.png")
    shown = sheet.crop((0, 6 * 52, 60, 7 * 52))
    assert np.abs(np.float32(shown) - np.float32(painting)).max() <= 1
    told = capsys.readouterr().err
    assert "unseen paintings: content " in told


@pytest.mark.slow
@pytest.mark.parametrize("names", [["03"], ["03", "05"]])
@pytest.mark.usefixtures("folder")
def test_a_network_of_its_own_styles_starts_from_that_of_any(names):
    any_style = AnyNet(0.125, 0, card={"styles": [{"name": "any", "about": ""}]})
    any_style.save("any.keras")
    paintings = [f"paintings/{name}.png" for name in names]
    settings = TINY | {"config": "default", "architecture": "crisp", "style_size": 64}
    settings.pop("painting_size")
    network = train(
        paintings,
        "photos",
        "03.keras",
        init="any.keras",
        **settings | {"steps": 1, "learning_rate": 1e-6},
    )
    expected = Paintings(paintings, "any.keras").network(names)
    for mine, theirs in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_default_training_starts_from_the_network_that_ships():
    fields = {name: TINY[name] for name in ("sizes", "content_size", "batch_size", "precision")}
    fields |= {name: TINY[name] for name in ("content_layers", "style_layers")}
    fields |= {"style_size": 64, "steps": 1, "learning_rate": 1e-6}
    network = train("paintings/03.png", "photos", "03.keras", **fields)
    expected = CrispNet()
    expected.start_from(Paintings("paintings/03.png").network("03"))
    for mine, theirs in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-6)
    assert network.card["training"]["init"] == "auto"


@pytest.mark.parametrize(
    ("kind", "shape", "starts"),
    [
        (CrispNet, {}, True),
        (CrispNet, {"blocks": 5, "num_styles": 2}, True),
        (CrispNet, {"blocks": 6}, False),
        (CrispNet, {"blocks": 0}, False),
        (CrispNet, {"width": 0.5}, False),
        (LeanNet, {}, False),
        (AnyNet, {}, False),
    ],
)
def test_only_networks_of_the_shape_of_that_which_ships_start_from_it(kind, shape, starts):
    assert _may_start_from_any(kind(**shape)) == starts


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("style", "changes", "text"),
    [
        ("paintings/03.png", {}, r"learns from a folder or \.zip of paintings .*, one painting\."),
        (["paintings", "photos"], {}, r"one folder of paintings\. Received: 2 paths"),
        ("paintings", {"config": "default"}, r"a folder, from which .*\(`config='any'`\)"),
        ("paintings", {"painting_size": (16, 48)}, r"`painting_size` must be .* at least 32 px"),
        ("paintings", {"config": "default", "code_weight": 1}, "Only a network of any style has"),
    ],
)
def test_train_refuses(style, changes, text):
    settings = TINY | changes
    if settings["config"] == "default":
        settings.pop("painting_size")
    with pytest.raises(ValueError, match=text):
        train(style, "photos", "any.keras", **settings)


def test_encoded_paintings_come_from_an_archive_too(paintings, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in paintings.glob("*.png"):
            archive.write(path, path.name)
    gallery = Gallery(tmp_path / "p.zip")
    assert Image.open(io.BytesIO(gallery.unseen[1]())).getpixel((0, 0)) == (level(20),) * 3
