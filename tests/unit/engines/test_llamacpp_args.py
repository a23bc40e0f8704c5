import pytest

from slipway.engines.errors import EngineRefusedError
from slipway.engines.llamacpp_args import FLAGS, parse


def test_without_arguments_the_engine_has_one_thread_and_keeps_no_prompts_in_host_memory() -> None:
    settings = parse(())
    assert settings.whole("--threads") == settings.whole("--threads-batch") == 1
    assert settings.whole("--cache-ram", otherwise=-1) == 0
    assert "--ctx-size" not in settings.values


def test_threads_are_used_for_prompts_too_unless_told_otherwise() -> None:
    assert parse(("--threads=3",)).whole("--threads-batch") == 3
    assert parse(("--threads=3", "--threads-batch=2")).whole("--threads-batch") == 2


@pytest.mark.parametrize(
    ("arg", "value"),
    [
        ("--ctx-size=2048", 2048),
        ("--cache-type-k=q8_0", "GGML_TYPE_Q8_0"),
        ("--flash-attn=off", "LLAMA_FLASH_ATTN_TYPE_DISABLED"),
        ("--rope-scaling=yarn", "LLAMA_ROPE_SCALING_TYPE_YARN"),
        ("--load-mode=mlock", "LLAMA_LOAD_MODE_MMAP_MLOCK"),
        ("--temp=0.5", 0.5),
        ("--jinja=off", False),
        ("--chat-template=a=b", "a=b"),
    ],
)
def test_a_value_is_read_as_llama_cpp_wants_it(arg: str, value: object) -> None:
    assert parse((arg,)).values[arg.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("arg", "remedy"),
    [
        ("--ctx-sise=2048", "--ctx-size"),
        ("ctx-size=2048", "--ctx-size"),
        ("--ctx-size", "Write --ctx-size="),
        ("--ctx-size=", "not a whole number"),
        ("--ctx-size=2k", "not a whole number"),
        ("--ctx-size=1", "from 64"),
        ("--batch-size=0", "from 32"),
        ("--threads=0", "from 1"),
        ("--parallel=100000", "from 1 to 64"),
        ("--cache-type-k=q9", "q8_0"),
        ("--temp=hot", "not a number"),
        ("--top-p=nan", "out of range"),
        ("--model=/etc/passwd", "unknown"),
        ("--host=0.0.0.0", "unknown"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_write_instead(arg: str, remedy: str) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        parse(("--parallel=2", arg))
    assert f"engine argument {arg}: " in str(refused.value)
    assert remedy in str(refused.value)


def test_all_bad_arguments_are_named_at_once() -> None:
    with pytest.raises(EngineRefusedError) as refused:
        parse(("--a=1", "--threads=0"))
    assert "--a=1" in str(refused.value) and "--threads=0" in str(refused.value)


@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_of_the_table_exists_in_the_installed_engine(name: str) -> None:
    import xllamacpp

    flag, target = FLAGS[name], xllamacpp.CommonParams()
    for step in flag.field.split("."):
        target = getattr(target, step)
    if flag.enum:
        assert flag.default is None or hasattr(getattr(xllamacpp, flag.enum), str(flag.default))


@pytest.mark.parametrize("name", ["--cache-type-k", "--flash-attn", "--rope-scaling", "--load-mode"])
def test_every_choice_of_a_flag_is_a_member_of_the_engines_enum(name: str) -> None:
    import xllamacpp

    with pytest.raises(EngineRefusedError) as refused:
        parse((f"{name}=?",))
    choices = str(refused.value).partition("Write one of ")[2].rstrip(".").split(", ")
    for choice in choices:
        assert hasattr(
            getattr(xllamacpp, FLAGS[name].enum or ""), str(parse((f"{name}={choice}",)).values[name])
        )
