"""A secret that was pasted into a catalog is refused, and shown by nothing that says so."""

from pathlib import Path

import pytest

from slipway.catalog.concealing import HIDDEN, bears_secret, conceal, looks_secret
from slipway.catalog.files.loader import load
from slipway.catalog.problems import CatalogError, dotted

HF = "hf_" + "aB3dE6gH9" * 3
NVAPI = "nvapi-" + "aB3dE6-_9" * 7
SK = "sk-proj-" + "aB3dE6gH9" * 4
PLAIN = "correct horse battery"

MODEL = "kind: Model\nname: m\n%sspec:\n  source: hf://a/b@main\n%s"
DEPLOYMENT = "kind: Deployment\nname: d\nspec:\n  model: m\n  runtime: ray\n  engine: e\n%s"
SETTINGS = "kind: Settings\nname: s\nspec:\n%s"
BUCKET = "  s3_sources: {bucket: {endpoint_url: 'https://s3.example', access_key: %s, secret_key: %s}}\n"
ENGINE = "kind: Engine\nname: e\nspec:\n  server: vllm\n%s"

PASTED = {
    "into token": (MODEL % ("", f"  token: {HF}\n"), HF),
    "a word into token": (MODEL % ("", f"  token: {PLAIN}\n"), PLAIN),
    "a number into token": (MODEL % ("", "  token: 4711471147\n"), "4711471147"),
    "a list into token": (MODEL % ("", f"  token: [{PLAIN}]\n"), PLAIN),
    "into the variable's name": (MODEL % ("", f"  token: {{env: {HF}}}\n"), HF),
    "a word for the variable's name": (MODEL % ("", f"  token: {{env: {PLAIN}}}\n"), PLAIN),
    "into the Secret's name": (MODEL % ("", f"  token: {{secret: {NVAPI}}}\n"), NVAPI),
    "into the key": (MODEL % ("", f"  token: {{secret: a, key: {SK}}}\n"), SK),
    "below token": (MODEL % ("", f"  token: {{value: {PLAIN}}}\n"), PLAIN),
    "beside it": (MODEL % ("", f"  token:\n  env: {HF}\n"), HF),
    "beside spec": (MODEL % (f"token: {PLAIN}\n", ""), PLAIN),
    "where a name is expected": (MODEL.replace("name: m", f"name: {HF}") % ("", ""), HF),
    "for a kind": (MODEL.replace("kind: Model", f"kind: {HF}") % ("", ""), HF),
    "as a field": (MODEL % ("", f"  {HF}: a\n"), HF),
    "into a description": (MODEL % (f"description: use {HF} for it\n", ""), HF),
    "into a source": (
        MODEL.replace("hf://a/b@main", f"hf://user:{PLAIN.replace(' ', '')}@hub/b") % ("", ""),
        PLAIN,
    ),
    "into env": (DEPLOYMENT % f"  env: {{MY_KEY_OF_OLD: {SK}}}\n", SK),
    "a word into env": (DEPLOYMENT % f"  env: {{HF_TOKEN: {PLAIN}}}\n", PLAIN),
    "a list into env": (DEPLOYMENT % f"  env: [{{name: HF_TOKEN, value: {PLAIN}}}]\n", PLAIN),
    "into an argument": (
        DEPLOYMENT % f"  args: ['--api-key={PLAIN.replace(' ', '')}', 5]\n",
        PLAIN.replace(" ", ""),
    ),
    "into the next argument": (DEPLOYMENT % "  args: [--api-key, 471147114711]\n", "471147114711"),
    "into secrets": (DEPLOYMENT % f"  secrets: [{{name: A, value: {PLAIN}}}]\n", PLAIN),
    "into a secret that is no mapping": (DEPLOYMENT % f"  secrets: [{PLAIN}]\n", PLAIN),
    "under another field": (DEPLOYMENT % f"  resources: {{apiKey: {PLAIN}}}\n", PLAIN),
    "into api_key": (ENGINE % f"  api_key: {NVAPI}\n", NVAPI),
    "into alert_webhook": (SETTINGS % f"  alert_webhook: https://hooks.example/{SK}\n", SK),
    "a webhook in the environment": (
        SETTINGS % "  alert_webhook: {env: 'https://a.example/T0/B0'}\n",
        "T0/B0",
    ),
    "into secret_key": (SETTINGS % BUCKET % ("{env: A}", PLAIN), PLAIN),
    "into access_key": (SETTINGS % BUCKET % ("AKIAIOSFODNN7EXAMPLE", "{env: A}"), "AKIAIOSFODNN7EXAMPLE"),
    "into pull_secret": (
        SETTINGS % f"  registries: {{nvcr.io: {{pull_secret: '$oauthtoken:{NVAPI}'}}}}\n",
        NVAPI,
    ),
    "into no YAML": (MODEL % ("", f"  token: {HF}\n  : [\n"), HF),
    "cut": (MODEL % (f"description: [{'a ' * 37}{HF}]\n", ""), HF[:9]),
}


@pytest.mark.parametrize("how", PASTED)
def test_a_secret_that_was_pasted_is_a_problem_that_does_not_show_it(tmp_path: Path, how: str) -> None:
    text, secret = PASTED[how]
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(CatalogError) as caught:
        load(tmp_path)
    assert secret not in str(caught.value)
    assert "x.yaml:" in str(caught.value)


def test_a_secret_in_a_document_that_is_good_otherwise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"kind: Organization\nname: acme\nspec: {{display_name: 'Acme {SK}'}}\n")
    with pytest.raises(CatalogError, match="display_name: looks like a secret in plain text"):
        load(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        ("token",),
        ("spec", "token", "env"),
        ("HF_TOKEN",),
        ("apiKey",),
        ("api-key",),
        ("db_password",),
        ("secrets", 0, "value"),
        ("pull_secret",),
        ("s3_sources", "b", "access_key"),
        ("alert_webhook",),
    ],
)
def test_fields_that_bear_secrets_are_known_by_their_names(path: tuple[str | int, ...]) -> None:
    assert bears_secret(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("limits", "api_key", "tokens_per_minute"), "20"),
        (("spec", "limits", "org", "tokens_per_minute"), "lots"),
        (("context_length",), "8192"),
        (("env", "MAX_TOKENS"), "100"),
        (("source",), "hf://meta-llama/Llama-3.1-8B-Instruct@0e9e39f249a16976918f6564b8830bc894c89659"),
        (("digest",), f"sha256:{'0a' * 32}"),
        (("model",), "Meta-Llama-3-1-8B-Instruct-task-forces"),
        (("args",), "--max-num-batched-tokens=8192"),
        (("name",), "disk-manager-of-the-west"),
    ],
)
def test_what_is_no_secret_is_shown(path: tuple[str | int, ...], value: str) -> None:
    assert not bears_secret(path), dotted(path)
    assert not looks_secret(value)
    assert conceal({path[-1]: value}) == {path[-1]: value}


def test_values_are_concealed_wherever_they_lie_in_what_a_plan_prints() -> None:
    shown = conceal(
        {"env": {"HF_TOKEN": "a", "B": f"x {HF} y"}, "args": [f"--token={PLAIN}"], "n": 1, "t": True}
    )
    assert shown == {
        "env": {"HF_TOKEN": HIDDEN, "B": f"x {HIDDEN} y"},
        "args": [f"{HIDDEN} horse battery"],
        "n": 1,
        "t": True,
    }
