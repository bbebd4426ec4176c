"""The command line: options become settings, one command runs, its report is printed.

Nothing heavy is imported here at the top: `genrec --help` must answer in half a second. Each
command imports what it needs when it is called.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from genrec_cli import __version__
from genrec_cli.core.errors import GenrecError, UsageError

if TYPE_CHECKING:
    from genrec_cli.core.settings import SearchSettings
    from genrec_cli.core.workspace import Workspace
    from genrec_cli.data.export import Format
    from genrec_cli.display.terminal import Terminal
    from genrec_cli.language.handover.trained import ModelFormat

app = typer.Typer(
    name="genrec",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class DatasetKind(StrEnum):
    """Raw logs that `prepare` reads."""

    movielens = "movielens"
    amazon = "amazon"
    table = "table"
    sample = "sample"


class Ties(StrEnum):
    """Orders of one user's events with equal timestamps."""

    hash = "hash"
    file = "file"


class RepeatRule(StrEnum):
    """Which of one user's events with one item stay."""

    keep = "keep"
    first = "first"
    last = "last"


class SplitMethod(StrEnum):
    """What is held out."""

    leave_one_out = "leave-one-out"
    global_time = "global-time"


class EngineName(StrEnum):
    """Who works on a raw log."""

    local = "local"
    ray = "ray"


class ExportFormat(StrEnum):
    """What other tools read: the first three hold a dataset, the others a run."""

    recbole = "recbole"
    csv = "csv"
    parquet = "parquet"
    merged = "merged"
    adapter = "adapter"
    gguf_ready = "gguf-ready"


class Quantize(StrEnum):
    """Precisions of frozen weights."""

    none = "none"
    nf4 = "nf4"
    int8 = "int8"


class MethodName(StrEnum):
    """The generative recommenders that can be trained."""

    genrec = "genrec"
    p5 = "p5"
    masked = "masked"


class ObjectiveName(StrEnum):
    """What a model is trained to write."""

    next_title = "next-title"
    paper = "paper"
    masked = "masked"


class SearchName(StrEnum):
    """Ways to find titles."""

    exact = "exact"
    beam = "beam"
    free = "free"


class NormaliserName(StrEnum):
    """Tokens that share a probability of one."""

    catalog = "catalog"
    vocabulary = "vocabulary"


class SplitName(StrEnum):
    """Held-out items."""

    test = "test"
    validation = "validation"


WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace", envvar="GENREC_WORKSPACE", help="Folder of datasets, runs and benches."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout; all else on stderr.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")]
DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="Name of the dataset; default: the newest.")
]
WORKSPACE = Path("genrec-workspace")
# Headings in the help of commands with many options.
COLUMNS = "Columns of one's own table"
FILTERS = "Filters"
MEANS = "Engine and memory"
PEOPLE = "For whom; one of these"
CANDIDATES = "What may be recommended"
SEARCH = "Search"
NEW_RUN = "Settings, without --run"
SearchOption = Annotated[
    SearchName | None,
    typer.Option(
        help="The true top k (default), a beam, or free text read back.", rich_help_panel=SEARCH
    ),
]
NormaliserOption = Annotated[
    NormaliserName | None,
    typer.Option(
        help="Scores as shares of the catalog's tokens, or of all; default: as trained.",
        rich_help_panel=SEARCH,
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option(help="Most tokens run for a user; then the best found.", rich_help_panel=SEARCH),
]
MillisecondsOption = Annotated[
    float | None,
    typer.Option(help="Most time for a user; then the best found.", rich_help_panel=SEARCH),
]


class SpreadK(TyperCommand):
    """Lets `--k 5 10` mean `--k 5 --k 10`, which click itself cannot read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further number."""
        return super().parse_args(ctx, spread("--k", args))


def spread(option: str, args: Sequence[str]) -> list[str]:
    """Repeat an option before each of its numbers.

    Example:
        >>> spread("--k", ["--k", "5", "10", "--users", "100"])
        ['--k', '5', '--k', '10', '--users', '100']
    """
    joined = f"{option}="
    args = [part for a in args for part in (a.split("=", 1) if a.startswith(joined) else [a])]
    result: list[str] = []
    numbers = 0  # how many numbers have followed the option; 0 when it is not being read
    for arg in args:
        if numbers > 1 and arg.replace(",", "").isdigit():
            result.append(option)
        result.append(arg)
        if arg == option:
            numbers = 1
        elif numbers:
            numbers = numbers + 1 if arg.replace(",", "").isdigit() else 0
    return result


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"genrec {__version__}")
        raise typer.Exit


@app.callback()
def genrec(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fine-tune a LLaMA on people's histories; it writes the title of the next item.

    The four commands work bare, in order; each takes the newest result of the one before:

    genrec prepare movielens | genrec finetune | genrec predict --user 42 | genrec bench --k 5 10
    """


@app.command()
def prepare(
    dataset: Annotated[DatasetKind, typer.Argument(help="What to prepare.")],
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Folder, zip or file on this machine, or a pattern of files; "
            "nothing is downloaded."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the dataset.")] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="MovieLens: 100k, 1m (default), 10m, 20m, 25m, 32m, latest-small, …"),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Amazon: as in Toys_and_Games, where several lie together.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Table: file of titles.", rich_help_panel=COLUMNS)
    ] = None,
    user_column: Annotated[
        str | None, typer.Option(help="Default: guessed.", rich_help_panel=COLUMNS)
    ] = None,
    item_column: Annotated[
        str | None, typer.Option(help="Default: guessed.", rich_help_panel=COLUMNS)
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(help="Dates, seconds, ms or a mere order.", rich_help_panel=COLUMNS),
    ] = None,
    title_column: Annotated[
        str | None, typer.Option(help="In the log or in --items.", rich_help_panel=COLUMNS)
    ] = None,
    rating_column: Annotated[
        str | None, typer.Option(help="Needed for --min-rating only.", rich_help_panel=COLUMNS)
    ] = None,
    min_rating: Annotated[
        float | None, typer.Option(help="Drop events rated lower.", rich_help_panel=FILTERS)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Drop events before a date.", rich_help_panel=FILTERS)
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Drop events from a date on.", rich_help_panel=FILTERS)
    ] = None,
    repeats: Annotated[
        RepeatRule | None,
        typer.Option(
            help="Which of a user's events with one item stay; default: keep, all.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    require_title: Annotated[
        bool | None,
        typer.Option(
            "--require-title", help="Drop items without a title.", rich_help_panel=FILTERS
        ),
    ] = None,
    min_user: Annotated[
        int | None, typer.Option(help="Fewest events a user; default: 5.", rich_help_panel=FILTERS)
    ] = None,
    min_item: Annotated[
        int | None, typer.Option(help="Fewest events an item; default: 5.", rich_help_panel=FILTERS)
    ] = None,
    max_history: Annotated[
        int | None,
        typer.Option(help="Keep only a user's latest events.", rich_help_panel=FILTERS),
    ] = None,
    split: Annotated[
        SplitMethod | None, typer.Option(help="What is held out; default: leave-one-out.")
    ] = None,
    ties: Annotated[
        Ties | None, typer.Option(help="Order of equal timestamps; default: hash.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the tie hash; default: 0.")] = None,
    engine: Annotated[
        EngineName, typer.Option(help="This machine, or a Ray cluster.", rich_help_panel=MEANS)
    ] = EngineName.local,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            help="As in 4GB; what does not fit is spilled to disk; default: half of what is free.",
            rich_help_panel=MEANS,
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="Of a running cluster; default: one is started here.", rich_help_panel=MEANS
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a finished dataset.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Turn a raw interaction log into a dataset, and say what in it can fool a benchmark.

    Examples:
    genrec prepare movielens --source ml-1m.zip

    genrec prepare amazon --source downloads --category Toys_and_Games

    genrec prepare table --source 'logs/*.csv.gz' --items products.csv --min-user 3
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        from genrec_cli.commands import prepare as command
        from genrec_cli.core.settings import Layer, PrepareSettings, bytes_of, resolve
        from genrec_cli.data.sources import Input
        from genrec_cli.data.table import Columns
        from genrec_cli.display.tables import prepared

        flags = {
            "min_rating": min_rating,
            "since": since,
            "until": until,
            "repeats": repeats.value if repeats else None,
            "require_title": require_title,
            "min_user": min_user,
            "min_item": min_item,
            "max_history": max_history,
            "split": split.value if split else None,
            "ties": ties.value if ties else None,
            "seed": seed,
        }
        columns = Columns(user_column, item_column, time_column, title_column, rating_column)
        limit = None if memory_limit is None else bytes_of("--memory-limit", memory_limit)
        request = command.PrepareRequest(
            Input(dataset.value, source, variant, category, items, columns),
            resolve(PrepareSettings, [Layer("flag", flags)]).settings,
            command.Means(engine.value, limit, ray_address),
            name,
            force,
        )
        report = command.prepare(at(workspace), request, terminal.progress)
        terminal.show(report.document(), prepared(report))


@app.command()
def finetune(
    *,
    dataset: DatasetOption = None,
    method: Annotated[
        MethodName | None, typer.Option(help="What is trained; default: genrec.")
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(help="nano, smollm2, llama-7b, …, a hub id, a folder or a .gguf file."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Settings: nano, cpu, 24gb, demo, paper, …; default: by base model."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    quantize: Annotated[Quantize | None, typer.Option(help="Bits of the frozen weights.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over all targets.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Optimiser steps; 0: no training.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    objective: Annotated[
        ObjectiveName | None, typer.Option(help="What is written; default: next-title.")
    ] = None,
    mask_weight: Annotated[
        float | None, typer.Option(help="Weight of masked-item prediction; default: 0.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Windows of history in one optimiser step.")
    ] = None,
    micro_batch_tokens: Annotated[
        int | None, typer.Option(help="Tokens in memory at a time; default: as memory allows.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of order, dropout, new weights.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting, as KEY=VALUE; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs of this machine to train on; default: 1.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest unfinished run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and the settings; load no weights.")
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Fine-tune a base model on the newest dataset.

    Examples:
    genrec finetune --base-model nano --epochs 4

    genrec finetune --set normaliser=vocabulary --set patience=3

    genrec finetune --base-model llama-7b --quantize nf4 --devices 4
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        from genrec_cli.language.launching import command_line, launch, must_launch

        if must_launch(devices) and not dry_run:
            raise typer.Exit(launch(devices or 1, command_line()))

        from genrec_cli.commands import finetune as command
        from genrec_cli.core.settings import with_settings
        from genrec_cli.display.plans import finetuned, plan_with_origins, planned
        from genrec_cli.language.job import Request

        flags = {
            "method": method.value if method else None,
            "base_model": base_model,
            "quantize": quantize.value if quantize else None,
            "epochs": epochs,
            "max_steps": max_steps,
            "learning_rate": learning_rate,
            "objective": objective.value if objective else None,
            "mask_weight": mask_weight,
            "batch_size": batch_size,
            "micro_batch_tokens": micro_batch_tokens,
            "seed": seed,
        }
        flags = with_settings(flags, setting or [])
        request = Request(dataset, flags, config, preset, name, resume, devices)
        if dry_run:
            plan = command.plan(at(workspace), request, terminal.progress)
            terminal.show(plan.document(), plan_with_origins(plan))
            return
        report = command.finetune(
            at(workspace), request, terminal.progress, lambda plan: terminal.aside(planned(plan))
        )
        if report is not None:
            terminal.show(report.document(), finetuned(report))


@app.command()
def predict(
    *,
    user: Annotated[
        list[str] | None, typer.Option(help="User id; repeatable.", rich_help_panel=PEOPLE)
    ] = None,
    users_file: Annotated[
        Path | None, typer.Option(help="File with one user id a line.", rich_help_panel=PEOPLE)
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Every user of the dataset.", rich_help_panel=PEOPLE)
    ] = False,
    history: Annotated[
        list[str] | None,
        typer.Option(help="Titles of somebody new: 'Title; Title; …'.", rich_help_panel=PEOPLE),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Name of the run; default: the newest.")] = None,
    dataset: DatasetOption = None,
    k: Annotated[int, typer.Option("-k", "--k", help="How many titles.")] = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each title was chosen, and what nearly was.")
    ] = False,
    catalog: Annotated[
        Path | None,
        typer.Option(
            help="Table of item_id and title to rank instead of the dataset's items.",
            rich_help_panel=CANDIDATES,
        ),
    ] = None,
    only: Annotated[
        Path | None,
        typer.Option(
            help="File with one item id or title a line: recommend nothing else.",
            rich_help_panel=CANDIDATES,
        ),
    ] = None,
    without: Annotated[
        Path | None,
        typer.Option(help="Such a file: recommend none of these.", rich_help_panel=CANDIDATES),
    ] = None,
    search: SearchOption = None,
    normaliser: NormaliserOption = None,
    budget: BudgetOption = None,
    milliseconds: MillisecondsOption = None,
    prior: Annotated[
        str | None,
        typer.Option(
            help="Baseline whose scores are added, as in popularity.", rich_help_panel=SEARCH
        ),
    ] = None,
    prior_weight: Annotated[
        float | None,
        typer.Option(
            help="Its weight; default: chosen on validation items.", rich_help_panel=SEARCH
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to a .parquet, .csv or .jsonl file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the titles that come next for people.

    Examples:
    genrec predict --history 'Toy Story (1995); Heat (1995)'

    genrec predict --all --without sold-out.txt --output recs.parquet
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        from genrec_cli.commands import predict as command
        from genrec_cli.display.tables import predicted
        from genrec_cli.recommenders.people import Asked

        request = command.PredictRequest(
            asked=Asked(tuple(user or ()), users_file, everybody, tuple(history or ())),
            run=run,
            dataset=dataset,
            k=k,
            catalog=catalog,
            only=only,
            without=without,
            explain=explain,
            search=_search_settings(search, normaliser, budget, milliseconds),
            prior=prior,
            prior_weight=prior_weight,
            output=output,
            force=force,
        )
        report = command.predict(at(workspace), request, terminal.progress)
        terminal.show(report.document(), predicted(report))


@app.command(cls=SpreadK)
def bench(
    ctx: typer.Context,
    *,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Measure nothing: compare two earlier benches by name, path, latest, previous.",
        ),
    ] = None,
    k: Annotated[
        list[str] | None, typer.Option("--k", help="Cutoffs, as in --k 5 10, the default.")
    ] = None,
    dataset: DatasetOption = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(
            help="Runs and baselines by name; A+B mixes two, A:B re-ranks; all: the slow "
            "baselines, too."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Systems to leave out, repeatable or with commas.")
    ] = None,
    users: Annotated[int | None, typer.Option(help="How many users, drawn by the seed.")] = None,
    split: Annotated[SplitName, typer.Option(help="Which held-out item.")] = SplitName.test,
    seed: Annotated[
        int, typer.Option(help="Seed of user sample, bootstrap and random systems.")
    ] = 0,
    seeds: Annotated[
        int, typer.Option(help="Seeds that random baselines are fitted with, from --seed on.")
    ] = 1,
    reference: Annotated[
        str | None,
        typer.Option(help="System that the others are tested against; default: best baseline."),
    ] = None,
    search: SearchOption = None,
    normaliser: NormaliserOption = None,
    budget: BudgetOption = None,
    milliseconds: MillisecondsOption = None,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure runs and baselines on the same users, candidates and questions.

    Examples:
    genrec bench --k 5 10 --users 1000

    genrec bench --compare previous latest
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        if compare is not None:
            _nothing_beside(ctx, "--compare", "dataset")
            from genrec_cli.commands.compare import CompareRequest
            from genrec_cli.commands.compare import compare as compare_benches
            from genrec_cli.display.benches import compared

            asked = CompareRequest(*compare, dataset)
            found = compare_benches(at(workspace), asked, terminal.progress)
            terminal.show(found.document(), compared(found))
            return
        from genrec_cli.commands import bench as command
        from genrec_cli.display.results import benched
        from genrec_cli.recommenders.lineup import Lineup

        ranking = _search_settings(search, normaliser, budget, milliseconds)
        request = command.BenchRequest(
            cutoffs=_cutoffs(k or ["5", "10"]),
            dataset=dataset,
            lineup=Lineup(_names(systems), _names(exclude), ranking),
            users=users,
            split=split.value,
            seed=seed,
            seeds=seeds,
            reference=reference,
        )
        report = command.bench(at(workspace), request, terminal.progress)
        terminal.show(report.document(), benched(report))


@app.command()
def export(
    dataset: Annotated[
        str | None,
        typer.Argument(help="Name of the dataset, or of the run's; default: the newest."),
    ] = None,
    *,
    file_format: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="Of a dataset: recbole, csv, parquet. Of a run: whole weights (merged), its "
            "adapter, or weights for llama.cpp's converter (gguf-ready).",
        ),
    ],
    run: Annotated[
        str | None, typer.Option(help="Name of the run to export; default: the newest.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to make; default: one in the workspace.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Hand a dataset to other toolkits, or a run's model to other programs.

    Examples:
    genrec export ml-1m --format recbole

    genrec export --run smollm2-1 --format merged
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        kind: Format | ModelFormat = file_format.value
        if kind == "merged" or kind == "adapter" or kind == "gguf-ready":
            from genrec_cli.commands import handover
            from genrec_cli.display.tables import handed_over

            request = handover.HandoverRequest(kind, run, dataset, output, force)
            given = handover.hand_over(at(workspace), request, terminal.progress)
            terminal.show(given.document(), handed_over(given))
            return
        from genrec_cli.commands import export as command
        from genrec_cli.display.tables import exported

        if run is not None:
            raise UsageError(
                f"--run names a run, and --format {kind} writes a dataset",
                "leave it out, or name --format merged, adapter or gguf-ready",
            )
        report = command.export_dataset(
            at(workspace), dataset, kind, output=output, force=force, progress=terminal.progress
        )
        terminal.show(report.document(), exported(report))


@app.command()
def inspect(
    *,
    run: Annotated[
        str | None,
        typer.Option(help="Run to look into, finished or not; default: what finetune would train."),
    ] = None,
    dataset: DatasetOption = None,
    method: Annotated[
        MethodName | None, typer.Option(help="As in finetune.", rich_help_panel=NEW_RUN)
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="As in finetune.", rich_help_panel=NEW_RUN)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="As in finetune.", rich_help_panel=NEW_RUN)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="As in finetune.", rich_help_panel=NEW_RUN)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="As in finetune.", metavar="KEY=VALUE", rich_help_panel=NEW_RUN),
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="User id; repeatable.")] = None,
    examples: Annotated[
        int, typer.Option(min=1, help="How many windows; of each --user, if some are named.")
    ] = 3,
    epoch: Annotated[int, typer.Option(min=1, help="In which epoch they are drawn.")] = 1,
    seed: Annotated[
        int | None, typer.Option(help="Seed of order, wordings, masks; default: the run's.")
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Show each token's id behind it.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show training examples as the model sees them, token by token; no weights are loaded.

    Examples:
    genrec inspect --base-model smollm2 --set mask_weight=0.5

    genrec inspect --run nano-1 --user 42 --epoch 2
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        from genrec_cli.commands import inspect as command
        from genrec_cli.core.settings import with_settings
        from genrec_cli.display.examples import inspected
        from genrec_cli.language.job import Request

        named = {
            "method": method.value if method else None,
            "base_model": base_model,
            "seed": seed,
        }
        flags = with_settings(named, setting or [])
        new = Request(dataset, flags, config, preset)
        request = command.InspectRequest(run, new, tuple(user or ()), examples, epoch)
        report = command.inspect(at(workspace), request, terminal.progress)
        terminal.show(report.document(), inspected(report, ids=ids))


@app.command()
def runs(
    name: Annotated[
        str | None, typer.Argument(help="Show this run in full; default: list all.")
    ] = None,
    *,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Only runs on it; default: on any.")
    ] = None,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """List runs with their best figures, or show all of one: settings, cost, benches, files.

    Example: genrec runs nano-1
    """
    with _session(as_json, quiet, debug) as (terminal, at):
        from genrec_cli.commands.runs import list_runs, show_run
        from genrec_cli.display.runs import listed, shown

        if name is None:
            report = list_runs(at(workspace), dataset)
            terminal.show(report.document(), listed(report))
            return
        run = show_run(at(workspace), name, dataset)
        terminal.show(run.document(), shown(run))


@app.command()
def doctor(
    *,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what is installed, what hardware there is, what fits, and what to do."""
    with _session(as_json, quiet, debug) as (terminal, at):
        from genrec_cli.commands import doctor as command
        from genrec_cli.display.health import examined

        report = command.doctor(at(workspace))
        terminal.show(report.document(), examined(report))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: arguments; None: those of the process.

    Returns:
        The exit code: 0 done, 1 the user's data or environment, 2 wrong usage.
    """
    try:
        app(args=argv, prog_name="genrec", standalone_mode=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _nothing_beside(ctx: typer.Context, option: str, *others: str) -> None:
    """Refuse options beside one that has no use for them; `others` and those of all commands."""
    fitting = {option.removeprefix("--"), *others, "workspace", "as_json", "quiet", "debug"}
    for param in ctx.command.params:
        source = ctx.get_parameter_source(str(param.name))
        if param.name not in fitting and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{option} has no use for {param.opts[-1]}", "leave one of them out")


def _search_settings(
    search: SearchName | None,
    normaliser: NormaliserName | None,
    budget: int | None,
    milliseconds: float | None,
) -> "SearchSettings":
    from genrec_cli.core.settings import Layer, SearchSettings, resolve

    flags = {
        "method": search.value if search else None,
        "over": normaliser.value if normaliser else None,
        "budget": budget,
        "milliseconds": milliseconds,
    }
    return resolve(SearchSettings, [Layer("flag", flags)]).settings


def _names(given: list[str] | None) -> tuple[str, ...]:
    return tuple(part for name in given or () for part in name.split(",") if part)


def _cutoffs(values: Sequence[str]) -> tuple[int, ...]:
    """Cutoffs from `5`, `10` or `5,10`, in order and once each."""
    parts = [part for value in values for part in value.split(",") if part]
    if not parts or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--k takes whole numbers, not '{' '.join(values)}'", "as in --k 5 10")
    return tuple(sorted({int(part) for part in parts}))


@contextmanager
def _session(
    as_json: bool, quiet: bool, debug: bool
) -> "Iterator[tuple[Terminal, Callable[[Path], Workspace]]]":
    """Open the terminal, and turn our own errors into one message and an exit code."""
    from genrec_cli.core.workspace import Workspace
    from genrec_cli.display.terminal import Terminal

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if not debug:
        _hush()
    try:
        yield terminal, Workspace
    except GenrecError as error:
        if debug:
            raise
        terminal.error(error)
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        # No permission, no space, a file where a folder is due; the rest is click's or a bug.
        if debug or error.strerror is None or isinstance(error, BrokenPipeError):
            raise
        where = f"{error.filename}: " if error.filename else ""
        terminal.error(GenrecError(f"{where}{error.strerror}"))
        raise typer.Exit(GenrecError.exit_code) from None
    except KeyboardInterrupt:
        terminal.err.print("\nstopped; nothing finished was touched")
        raise typer.Exit(130) from None


def _hush() -> None:
    """Keep libraries' warnings and logs off the terminal; --debug shows them."""
    import logging
    import os
    import warnings

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
