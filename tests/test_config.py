"""Settings: defaults, what differs, and mistakes that are named."""

import pytest

from fewmasks.config import Config, parse_config, read_config, setting_text
from fewmasks.errors import ConfigError


def test_no_file_is_all_defaults(tmp_path):
    assert read_config(tmp_path / "project.toml") == Config()


def test_a_file_says_only_what_differs(tmp_path):
    path = tmp_path / "project.toml"
    path.write_text('[learn]\nsize = 256\n[query]\nstrategy = "random"\n')
    found = read_config(path)
    assert (found.learn.size, found.query.strategy) == (256, "random")
    assert found.learn.batch == Config().learn.batch


def test_settings_survive_json():
    config = Config().with_settings(["learn.size=64", "query.group_cap=3"])
    assert parse_config(config.model_dump(mode="json"), "here") == config


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().learn.size = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("learn.size=64", "learn", "size", 64),
        (" learn.size = 64 ", "learn", "size", 64),
        ("learn.noise=0.5", "learn", "noise", 0.5),
        ("learn.device=cuda:1", "learn", "device", "cuda:1"),
        ('learn.device="cpu"', "learn", "device", "cpu"),
        ("query.group_cap=2", "query", "group_cap", 2),
        ("query.group_cap=none", "query", "group_cap", None),
    ],
)
def test_a_setting_on_the_command_line(setting, section, key, value):
    config = Config().with_settings(["query.group_cap=9", setting])
    assert getattr(getattr(config, section), key) == value


@pytest.mark.parametrize(
    "setting",
    ["learn.size=64", "learn.device=cuda:1", "query.group_cap=none", 'learn.flips="none"',
     "pretrain.spare_mates=false", "pretrain.relations={volume=0.5, patient=0.0}",
     "pretrain.relations={}"],
)  # fmt: skip
def test_a_value_is_said_as_it_is_given(setting):
    name, _, value = setting.partition("=")
    assert setting_text(Config().with_settings([setting]).flat()[name]) == value


def test_later_settings_win_and_others_stay():
    config = Config().with_settings(["learn.size=64", "learn.batch=2", "learn.size=32"])
    assert (config.learn.size, config.learn.batch) == (32, 2)
    assert config.cost == Config().cost


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("learn.sise=3", "learn.sise: there is no such setting; did you mean 'size'?"),
        ("lern.size=3", "lern: there is no such setting; did you mean 'learn'?"),
        ("cost.zzz=3", "cost.zzz: .* known: seconds_per_mask, scribble_speedup"),
        ("learn.size.deep=3", "learn.size.deep: there is no such setting"),
        ("learn.size", "--set learn.size: not of the form section.key=value"),
        ("learn=3", "--set learn=3: not of the form"),
        ("learn.size=abc", r"learn.size: .*integer.*\('abc'\); correct the value"),
        ("learn.size=128.5", r"learn.size: .*\(128.5\)"),
        ("learn.size=8", r"learn.size: .*16 \(8\)"),
        ("learn.network=vit", "learn.network: .*'unet'.*'vit'"),
        ("learn.noise=nan", "learn.noise: .*finite"),
        ("learn.noise=inf", "learn.noise: .*finite"),
    ],
)
def test_a_mistake_is_named(setting, words):
    with pytest.raises(ConfigError, match=words):
        Config().with_settings([setting])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[learn\n", "not TOML"),
        (b"[learn]\nsize = 64\nsize = 32\n", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (b"learn = 3\n", "learn: .*dictionary"),
        (b"[lern]\n", "did you mean 'learn'"),
        (b"[learn]\nsise = 1\n", "learn.sise"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(tmp_path, content, words):
    path = tmp_path / "project.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{path}: .*{words}"):
        read_config(path)
