"""Weights on disk: strict, complete, and readable by others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.models import create
from resnext.weights import (
    PretrainedWeights,
    WeightsError,
    load_network,
    load_tensors,
    read_tensors,
    write_hub_folder,
)

ARCH = Architecture.from_name("resnext11_4x4d+template=8", 3)
CONTRACT = Contract(
    ("a", "b", "c"), Input(3, 16, 16), Resize(18, 16), (0.5,) * 3, (0.2,) * 3, Provenance(ARCH.name)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_hub_folder(tmp_path / "model", create(ARCH, 4), CONTRACT, "# card\n")
    return tmp_path / "model"


def test_a_hub_folder_and_its_file_alone_give_the_network_back(folder: Path) -> None:
    images = torch.randn(2, 3, 16, 16)
    expected = create(ARCH, 4).eval()(images)
    for path in (folder, folder / "model.safetensors"):
        network, contract = load_network(path)
        assert contract == CONTRACT
        assert torch.equal(network(images), expected)


def test_a_run_that_has_not_finished_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(WeightsError, match="this run has not finished; `resnext train DATA"):
        PretrainedWeights.read(tmp_path).build_network(ARCH, ("a", "b", "c"), 0, new_head=True)


def test_what_timm_reads_is_there(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["label_names"] == ["a", "b", "c"]
    assert config["num_classes"] == config["pretrained_cfg"]["num_classes"] == 3
    assert config["num_features"] == create(ARCH).fc.in_features
    assert config["pretrained_cfg"]["input_size"] == [3, 16, 16]
    assert config["pretrained_cfg"]["crop_pct"] == pytest.approx(16 / 18)


def test_a_new_head_replaces_the_head_only(folder: Path) -> None:
    other = Architecture.from_name(ARCH.name, 5)
    with pytest.raises(WeightsError, match="--new-head") as error:
        PretrainedWeights.read(folder).build_network(other, tuple("abcde"), 0, new_head=False)
    assert "fc.weight 3x128, here 5x128" in str(error.value)
    network = PretrainedWeights.read(folder).build_network(other, tuple("abcde"), 0, new_head=True)
    old, new, fresh = (m.state_dict() for m in (create(ARCH, 4), network, create(other, 0)))
    assert all(torch.equal(new[name], (fresh if name.startswith("fc.") else old)[name]) for name in new)


def test_missing_and_unexpected_tensors_are_listed_and_nothing_changes(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["layer9.weight"] = tensors.pop("layer1.0.conv1.weight")
    network = create(ARCH, 1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_tensors(network, tensors, "file")
    assert "layer9.weight" in str(error.value)
    assert "layer1.0.conv1.weight" in str(error.value)
    assert "--new-head" not in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_old_files_without_counters_are_whole(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    counters = [name for name in tensors if name.endswith("num_batches_tracked")]
    assert load_tensors(
        create(ARCH), {k: v for k, v in tensors.items() if k not in counters}, "file"
    ).is_complete


def test_files_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="carries no contract"):
        load_network(tmp_path / "foreign.safetensors")
    (folder / "model.safetensors").write_bytes(b"\x00" * 30)
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        load_network(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_network(folder)


def test_nothing_changes_when_a_head_does_not_fit(folder: Path) -> None:
    network = create(Architecture.from_name(ARCH.name, 5), 1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match="of another shape"):
        load_tensors(network, load_file(folder / "model.safetensors"), "file")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_new_head_forgives_nothing_else(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["bn1.weight"], tensors["fc.bias"]
    tensors["fc.extra"] = torch.zeros(1)
    with pytest.raises(WeightsError) as error:
        load_tensors(create(ARCH), tensors, "file", new_head=True)
    rows = {line.split("  ")[1]: line for line in str(error.value).splitlines()[1:]}
    assert rows["missing in the file"].endswith(" 1  bn1.weight")
    assert rows["unexpected in the file"].endswith(" 1  fc.extra")
    assert rows["replaced by a new head"].endswith(" 2  fc.weight, fc.bias")
    del tensors["fc.extra"]
    with pytest.raises(WeightsError, match=r"bn1\.weight") as error:
        load_tensors(create(ARCH), tensors, "file")
    assert "--new-head" not in str(error.value)  # it would not help


def test_every_tensor_of_the_file_is_counted_once(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    fit = load_tensors(create(ARCH), tensors, "file")
    assert sorted(fit.loaded) == sorted(tensors)
    assert fit.is_complete
    fit = load_tensors(create(ARCH), tensors, "file", new_head=True)
    assert sorted((*fit.loaded, *fit.replaced)) == sorted(tensors)


def test_a_contract_of_other_classes_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["resnext"]["contract"]["classes"] = ["a", "b"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="names 2 classes, the network has 3"):
        load_network(folder)
    config["resnext"]["contract"] |= {"schema": 9, "written_by": "resnext 7.0"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"schema 9 was written by resnext 7\.0"):
        load_network(folder)
    config["resnext"]["schema"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"schema 2 of a hub folder; this version reads schema 1"):
        load_network(folder)


def test_weights_whose_contract_cannot_be_read_are_refused(folder: Path, tmp_path: Path) -> None:
    """The contract says how their images were prepared. Files that others wrote have none, and are
    accepted."""
    tensors, about = read_tensors(folder / "model.safetensors")
    about["contract"]["schema"] = 9
    save_file(tensors, tmp_path / "newer.safetensors", {"resnext": json.dumps(about)})
    with pytest.raises(WeightsError, match=r"newer\.safetensors: its contract cannot be read .*schema 9"):
        PretrainedWeights.read(tmp_path / "newer.safetensors")
    save_file(tensors, tmp_path / "others.safetensors")
    assert PretrainedWeights.read(tmp_path / "others.safetensors").contract is None
    torch.save(tensors, tmp_path / "others.pth")
    others = PretrainedWeights.read(tmp_path / "others.pth")
    assert others.model == ARCH.name
    assert all(torch.equal(others.tensors[name], tensor) for name, tensor in tensors.items())


def test_others_may_read_what_is_shipped(folder: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert len(modes) == 1  # that of every new file here


def test_a_head_follows_the_names_of_its_classes(folder: Path) -> None:
    images = torch.randn(2, 3, 16, 16)
    before = create(ARCH, 4).eval()(images)
    moved = (
        PretrainedWeights.read(folder).build_network(ARCH, ("c", "a", "b"), 0, new_head=False).eval()(images)
    )
    assert torch.equal(moved, before[:, [2, 0, 1]])
    with pytest.raises(WeightsError, match=r"'d'.*--new-head"):
        PretrainedWeights.read(folder).build_network(ARCH, ("a", "b", "d"), 0, new_head=False)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], None]) -> None:
    """Change tensors and metadata of the file in `folder`, and config.json alike."""
    file, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    tensors, about = read_tensors(file)
    change(tensors, about)
    save_file(tensors, file, {"format": "pt", "resnext": json.dumps(about)})
    (folder / "config.json").write_text(json.dumps(config | {"resnext": about}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    def change(tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
        tensors["layer1.0.conv1.weight"][0, 0, 0, 0] = value

    rewrite(folder, change)
    for path in (folder, folder / "model.safetensors"):
        with pytest.raises(WeightsError, match=r"the tensor layer1\.0\.conv1\.weight holds NaN or infinity"):
            load_network(path)
        with pytest.raises(WeightsError, match=r"layer1\.0\.conv1\.weight"):
            PretrainedWeights.read(path).build_network(ARCH, CONTRACT.classes, 0, new_head=False)


def test_huge_finite_weights_are_weights() -> None:
    """Their sum overflows; they do not."""
    network = create(ARCH)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors["fc.weight"].fill_(3e38)
    assert load_tensors(network, tensors, "file").is_complete


def test_tensors_of_another_type_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    for dtype in (torch.int64, torch.complex64):
        changed = tensors | {"fc.bias": torch.zeros(3, dtype=dtype)}
        with pytest.raises(WeightsError, match=rf"of another type +1  fc\.bias {dtype}, here torch\.float32"):
            load_tensors(create(ARCH), changed, "file")
    halves = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    assert load_tensors(create(ARCH), halves, "file").is_complete


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("classes", ["b", "a", "c"], "contract.classes"),
        ("mean", [0.5, 0.4, 0.5], "contract.mean"),
        ("resize", {"shorter_px": 20, "crop_px": 16}, "contract.resize.shorter_px"),
        ("calibration", {"temperature": 2.0}, "contract.calibration"),
    ],
)
def test_both_files_of_a_hub_folder_say_the_same(folder: Path, field: str, value: Any, says: str) -> None:
    """Otherwise, whoever reads the other file gives other answers."""
    config = json.loads((folder / "config.json").read_text())
    config["resnext"]["contract"][field] = value
    (folder / "config.json").write_text(json.dumps(config))
    for read in (load_network, PretrainedWeights.read):
        with pytest.raises(WeightsError, match=f"have different values of {says}:"):
            read(folder)
    load_network(folder / "model.safetensors")  # says one thing only


def test_either_file_alone_may_describe_the_model(folder: Path) -> None:
    """As where another program has written the tensors again."""
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    assert load_network(folder)[1] == CONTRACT
    assert PretrainedWeights.read(folder).contract == CONTRACT


def test_where_config_json_lost_our_part_the_weights_describe_the_model(folder: Path) -> None:
    """timm's part says less: it knows no training data and no calibration."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["resnext"]
    path.write_text(json.dumps(config))
    assert load_network(folder)[1] == CONTRACT


def test_files_with_more_than_one_network_are_named(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in create(ARCH).state_dict().items()}
    torch.save(state | {"fc.bias": torch.zeros(3)}, tmp_path / "two.pth")
    with pytest.raises(WeightsError, match=r"two\.pth: module\.fc\.bias and fc\.bias would both be fc\.bias"):
        PretrainedWeights.read(tmp_path / "two.pth")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {
                "contract": {
                    "input": {"channels": 1, "height_px": 16, "width_px": 16},
                    "mean": [0],
                    "std": [1],
                }
            },
            "names 1 channels, the network has 3",
        ),
        ({"contract": {"classes": ["a", "b"]}}, "names 2 classes, the network has 3"),
        ({"contract": {"classes": ["a", "b", "c\ud800"]}}, "half a character"),
        ({"contract": {"classes": ["a", "b", "c\udc80"]}}, "is not UTF-8"),
        ({"contract": {"classes": ["a", "b", "c" * 1001]}}, r"classes\[2\]: longer than 1,000"),
        ({"contract": {"resize": {"shorter_px": 5000, "crop_px": 16}}}, "5000 is more than 4096"),
        ({"contract": {"std": [1e-300] * 3}}, "std: must be positive, from 1e-06"),
        ({"contract": {"calibration": {"temperature": 1e-30}}}, "calibration.temperature"),
        ({"architecture": {"channels": 1}}, "unknown field 'channels'"),
        ({"architecture": {"classes": 3.0}}, "architecture.classes: must be int"),
        ({"architecture": {"classes": 10**11}}, "architecture.classes: must be from 1 to 1,000,000"),
        ({"architecture": {"in_channels": "3"}}, "architecture.in_channels: must be int"),
        ({"architecture": {"name": "resnext11_4x9999999d+template=8"}}, "it would have"),
        ({"architecture": {"name": "resnext11_4x4d+template=8" + "9" * 5000}}, "at most 200 characters"),
        ({"architecture": {"name": "resnext11_512x64d+template=8"}}, "do not fit the network"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_a_folder_may_not_say(folder: Path, change: dict[str, Any], says: str) -> None:
    """Each is refused before a network is made of it, which could take any amount of memory."""

    def edit(_: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
        for part, fields in change.items():
            about[part] |= fields

    rewrite(folder, edit)
    with pytest.raises(WeightsError, match=says):
        load_network(folder)
    with pytest.raises(WeightsError, match=says):  # noqa: PT012
        weights = PretrainedWeights.read(folder)
        arch = Architecture.from_name(weights.model or "", 3)
        weights.build_network(arch, CONTRACT.classes, 0, new_head=False)


def test_a_config_that_is_no_object(folder: Path) -> None:
    for text in ("[]", '{"resnext": 3}', "[" * 10**5, '{"a": NaN}'):
        (folder / "config.json").write_text(text)
        with pytest.raises(WeightsError, match=r"config\.json|resnext: must be"):
            load_network(folder)
