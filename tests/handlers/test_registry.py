"""Finding handlers: whatever is wrong with one stops the worker from starting, and says why."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from countersign.verdict import Mode
from tests.handlers.conftest import AUTHORS, handler_processes
from workers.policy import Policy, parse_policy
from workers.registry import HandlersInvalid, find_handlers, load_handlers

Install = Callable[..., None]

HANDLER = """
from countersign import approve, handler

@handler(name="{name}", version="7", requires={{"country"}}, required=False)
def check(case):
    return approve()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that has a handler, as pip would."""

    def installed(distribution: str, name: str, target: str, code: str = "") -> None:
        folder = tmp_path / distribution
        metadata = folder / f"{distribution}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[countersign.handlers]\n{name} = {target}\n")
        (folder / f"{target.partition(':')[0]}.py").write_text(code or HANDLER.format(name=name))
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    return installed


def policy_of(text: str) -> Policy:
    return parse_policy(text.encode(), folder=AUTHORS)


def refusal_of(text: str) -> list[str]:
    with pytest.raises(HandlersInvalid) as refused:
        load_handlers(policy_of(text))
    head, *problems = str(refused.value).splitlines()
    assert head == "the handlers can't be used as they are:"
    return problems


def test_the_built_in_ones_come_through_the_public_door() -> None:
    found = find_handlers(Policy())

    assert [(each.name, each.target) for each in found] == [
        ("limits", "workers.handlers.limits:limits"),
        ("wallet_list", "workers.handlers.wallet_list:wallet_list"),
    ]
    assert {each.origin.partition(" ")[0] for each in found} == {"keystone-countersign"}


def test_without_a_policy_every_installed_handler_is_enforced(install: Install) -> None:
    install("acme_checks", "country", "acme_country:check")

    country, limits, wallet_list = load_handlers(Policy())

    assert country.name == "country"
    assert country.origin == "acme_checks 1.0"
    assert (country.mode, country.required) == (Mode.ENFORCE, False)
    assert country.handler.version == "7"
    assert country.handler.requires == {"country"}
    assert country.judge is None
    assert limits.judge is not None
    assert wallet_list.required


def test_only_handlers_of_ours_run_inside_the_worker(install: Install) -> None:
    code = HANDLER.format(name="mine").replace('version="7"', 'version="7", inline=True')
    install("mine", "mine", "mine_module:check", code)

    (mine,) = [each for each in load_handlers(Policy()) if each.name == "mine"]

    assert mine.judge is None
    assert mine.pool is not None


def test_the_policy_has_the_last_word_on_mode_and_required() -> None:
    text = '[handlers.limits]\nmode = "shadow"\nrequired = false\n[handlers.wallet_list]\nmode = "off"\n'

    (limits,) = load_handlers(policy_of(text))

    assert (limits.name, limits.mode, limits.required) == ("limits", Mode.SHADOW, False)


def test_two_distributions_with_one_name_are_refused(install: Install) -> None:
    install("acme", "limits", "acme_limits:check")

    (problem,) = refusal_of("")

    assert problem.startswith("  - limits is installed twice, by ")
    assert "acme 1.0" in problem
    assert "keystone-countersign" in problem


def test_the_policy_cannot_put_its_own_handler_in_the_place_of_an_installed_one() -> None:
    (problem,) = refusal_of('[handlers.limits]\nmodule = "nasty:counts"\n')

    assert problem.startswith("  - limits is nasty:counts in the policy, but keystone-countersign ")
    load_handlers(policy_of('[handlers.limits]\nmodule = "workers.handlers.limits:limits"\n'))


def test_a_handler_that_is_not_there_is_refused_even_switched_off() -> None:
    problems = refusal_of('[handlers.sanctions]\nrequired = true\n[handlers.country]\nmode = "off"\n')

    assert [problem.partition(":")[0] for problem in problems] == [
        "  - country is in the policy, but is not installed",
        "  - sanctions is in the policy as required, but is not installed",
    ]


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("nowhere:bad", "importing nowhere raised ModuleNotFoundError: No module named 'nowhere'"),
        ("nasty:bad", "nasty has no bad"),
        ("nasty:function", "nasty:function is a builtin_function_or_method and no handler: mark it"),
        ("nasty:elsewhere", "it calls itself somewhere_else: give it one name"),
        ("nasty:made_of_nothing", "nasty:made_of_nothing makes a Nothing, which can't be called with a case"),
        ("exits_at_import:bad", "its process ended with exit status 7 while it was loading"),
        ("leaves_at_import:bad", "importing leaves_at_import raised SystemExit: bye, [hidden]"),
        ("workers.handlers.nothing:bad", "importing workers.handlers.nothing raised ModuleNotFoundError"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_refused_with_the_reason(module: str, told: str) -> None:
    (problem,) = refusal_of(f'[handlers.bad]\nmodule = "{module}"\n')

    assert problem.startswith(f"  - bad ({module}, module {module.partition(':')[0]}): ")
    assert told in problem
    assert not handler_processes()


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        (
            "limits",
            "maximum = 5",
            "TypeError: Limits.__init__() got an unexpected keyword argument 'maximum'",
        ),
        ("limits", "default = 0.5", "ValueError: default must be a quantity"),
        ("recovers", "", "missing 1 required positional argument: 'mark'"),
        ("loops", "fast = true", "handler 'loops' is a function and takes no settings"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(name: str, settings: str, told: str) -> None:
    module = "" if name == "limits" else f'module = "nasty:{name}"\n'

    (problem,) = refusal_of(f"[handlers.{name}]\n{module}[handlers.{name}.settings]\n{settings}\n")

    assert "its settings were refused: " in problem
    assert told in problem


def test_every_problem_is_told_at_once_and_nothing_is_left_running() -> None:
    problems = refusal_of(
        '[handlers.limits.settings]\ndefault = "x"\n'
        '[handlers.loops]\nmodule = "nasty:nothing"\n'
        '[handlers.counts]\nmodule = "nasty:counts"\n'
        "[handlers.sanctions]\n"
    )

    assert [problem.split()[1] for problem in problems] == ["limits", "loops", "sanctions"]
    assert not handler_processes()


def test_the_digest_follows_code_and_settings_and_nothing_else(tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    text = '[handlers.mine]\nmodule = "mine:check"\n[handlers.limits.settings]\ndefault = "{}"\n'

    def digests(version: str, limit: str) -> dict[str, str]:
        module.write_text(HANDLER.format(name="mine").replace("7", version))
        policy = parse_policy(text.format(limit).encode(), folder=tmp_path)
        return {each.name: each.digest for each in load_handlers(policy)}

    first = digests("1", "5")
    assert digests("1", "5") == first
    assert {name for name, digest in digests("2", "5").items() if digest != first[name]} == {"mine"}
    assert {name for name, digest in digests("1", "6").items() if digest != first[name]} == {"limits"}


def test_the_digest_of_a_package_covers_all_of_it(tmp_path: Path) -> None:
    package = tmp_path / "checks"
    (package / "lists").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "rule.py").write_text(HANDLER.format(name="mine"))

    def digest() -> str:
        policy = parse_policy(b'[handlers.mine]\nmodule = "checks.rule:check"\n', folder=tmp_path)
        (mine,) = [each for each in load_handlers(policy) if each.name == "mine"]
        return mine.digest

    first = digest()
    (package / "lists" / "names.py").write_text("NAMES = ['Jane']\n")
    assert digest() != first


def test_a_handler_that_is_off_is_not_even_imported() -> None:
    text = '[handlers.bad]\nmodule = "exits_at_import:bad"\nmode = "off"\n'

    assert "bad" not in {each.name for each in load_handlers(policy_of(text))}
