"""`genrec bench`: every system on the same users, candidates and questions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from genrec_cli.core.errors import GenrecError, UsageError, WorkspaceError
from genrec_cli.core.progress import SILENT, Progress
from genrec_cli.core.provenance import Stopwatch, versions
from genrec_cli.core.settings import Split, check_search
from genrec_cli.core.workspace import BENCH_MANIFEST, Workspace, now, publish, write_json
from genrec_cli.data.dataset import Dataset, load_dataset
from genrec_cli.data.split import held_out, sample_rows
from genrec_cli.evaluation.earlier.benches import BENCH_FORMAT, PER_USER_FILE
from genrec_cli.evaluation.fitting import Fitter
from genrec_cli.evaluation.keeping import Keeper
from genrec_cli.evaluation.protocol import Exam
from genrec_cli.evaluation.report.page import report_html
from genrec_cli.evaluation.report.witnesses import contents
from genrec_cli.evaluation.results import Result, Results
from genrec_cli.evaluation.running import Runner
from genrec_cli.evaluation.seedgroups import seed_groups
from genrec_cli.evaluation.summaries.latex import latex_table
from genrec_cli.evaluation.summaries.markdown import markdown_table
from genrec_cli.recommenders.lineup import Lineup
from genrec_cli.recommenders.systems import Maker

_KEPT: Final = ".measured"


@dataclass(frozen=True)
class BenchRequest:
    """What the user asked for.

    Attributes:
        cutoffs: the k of the metrics.
        dataset: name; None: the newest.
        lineup: which systems.
        users: how many, drawn by the seed; None: everybody.
        split: which held-out item is asked for.
        seed: of the user sample, the bootstrap and random systems.
        seeds: with how many seeds, from that one on, random systems are fitted.
        reference: the system that others are compared with; None: the best baseline.
    """

    cutoffs: tuple[int, ...] = (5, 10)
    dataset: str | None = None
    lineup: Lineup = Lineup()
    users: int | None = None
    split: Split = "test"
    seed: int = 0
    seeds: int = 1
    reference: str | None = None


@dataclass(frozen=True)
class BenchReport:
    """What was measured: the folder and its `metrics.json`."""

    folder: Path
    manifest: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"folder": str(self.folder), **self.manifest}


def bench(workspace: Workspace, request: BenchRequest, progress: Progress = SILENT) -> BenchReport:
    """Measure systems on the held-out items of a dataset.

    What was measured before, by an earlier bench or by one that was cut short, is not measured
    again.

    Raises:
        UsageError: a cutoff, a number of users or a seed cannot be, or a system does not exist.
        WorkspaceError: there is no dataset, or a run was trained on another version of it.
    """
    watch = Stopwatch()
    _check(request)
    dataset = load_dataset(workspace.find_dataset(request.dataset))
    runs = {folder.name: folder for folder in workspace.finished_runs(dataset.name)}
    makers = request.lineup.makers(dataset, runs, progress)
    if request.reference is not None and request.reference not in makers:
        known = ", ".join(makers)
        raise UsageError(f"--reference '{request.reference}' is not measured", f"one of: {known}")
    exam = _exam(dataset, request)
    benches = workspace.benches(dataset.name)
    runner = Runner(
        Fitter(dataset, workspace.fitted(dataset.name), progress),
        Keeper(benches / _KEPT, exam),
        tuple(range(request.seed, request.seed + request.seeds)),
        progress,
    )
    results = Results(exam, request.cutoffs, request.seed, _run_all(runner, makers, progress))
    manifest = {
        "format": BENCH_FORMAT,
        "created": now(),
        "dataset": dataset.name,
        "protocol": _protocol(dataset, request, results),
        **results.document(request.reference),
        "seed_groups": seed_groups(results, runs),
        "versions": versions(),
        **watch.cost(),
    }
    folder = benches / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    with publish(folder, BENCH_MANIFEST, force=False, command="genrec bench") as staging:
        _write(staging, results, manifest, runs)
    return BenchReport(folder, manifest)


def _check(request: BenchRequest) -> None:
    check_search(request.lineup.search)
    if not request.cutoffs or min(request.cutoffs) < 1:
        raise UsageError("--k needs cutoffs of at least 1", "as in --k 5 10")
    if request.users is not None and request.users < 1:
        raise UsageError(f"--users must be at least 1, not {request.users}")
    if request.seed < 0:
        raise UsageError(f"--seed must be at least 0, not {request.seed}")
    if request.seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {request.seeds}")


def _exam(dataset: Dataset, request: BenchRequest) -> Exam:
    drawn = sample_rows(dataset, request.split, request.users, request.seed)
    if len(drawn) == 0:  # in a global-time split
        message = f"nobody in dataset '{dataset.name}' has a {request.split} item to ask for"
        raise WorkspaceError(message, "genrec bench --split test")
    return Exam(dataset, held_out(dataset, request.split, drawn), max(request.cutoffs))


def _run_all(runner: Runner, makers: Mapping[str, Maker], progress: Progress) -> tuple[Result, ...]:
    """Measure one system after the other, and tell of each at once."""
    results = []
    for place, (name, make) in enumerate(makers.items(), start=1):
        with _named(name):
            result = runner.run(make)
        progress.note(f"[{place}/{len(makers)}] {runner.told(result)}")
        results.append(result)
    return tuple(results)


@contextmanager
def _named(system: str) -> Iterator[None]:
    """Say which system it was that failed."""
    try:
        yield
    except GenrecError as error:
        raise WorkspaceError(f"system '{system}': {error.message}", error.fix) from error


def _protocol(dataset: Dataset, request: BenchRequest, results: Results) -> dict[str, Any]:
    """Everything that one must know to repeat the numbers."""
    search = request.lineup.search.model_dump(mode="json", exclude_defaults=True)
    return {
        "dataset_hash": dataset.hash,
        "split": f"{dataset.manifest['split']}, {request.split}",
        "candidates": _candidates(results.exam),
        "items": len(dataset.item_ids),
        "users": len(results.exam.cases),
        "users_of": len(dataset.user_ids),
        "time_ties": dataset.manifest["audit"]["ties"],
        "score_ties": "expected value",
        "interval": "95 % percentile bootstrap over users, 1000 resamples",
        "seed": request.seed,
        "seeds": request.seeds,
        "cutoffs": list(request.cutoffs),
        "primary": results.primary,
        "reference": _reference(request, results),
        **({"search": search} if search else {}),
    }


def _candidates(exam: Exam) -> str:
    if exam.cases.repeats:
        return "whole catalog, for repeats are common"
    return "whole catalog minus the user's history"


def _reference(request: BenchRequest, results: Results) -> str:
    """The system that others are compared with, and who chose it."""
    if request.reference is not None:
        return f"{request.reference}, as asked"
    return f"{results.reference(None)}, the best baseline by the same figures"


def _write(
    folder: Path, results: Results, manifest: Mapping[str, Any], runs: Mapping[str, Path]
) -> None:
    """Everything that a bench leaves; `metrics.json`, which makes it finished, last."""
    pq.write_table(results.table(), folder / PER_USER_FILE, compression="zstd")
    texts: Sequence[tuple[str, str]] = [
        ("table.md", markdown_table(manifest)),
        ("table.tex", latex_table(manifest)),
        ("report.html", report_html(contents(results, manifest, runs))),
    ]
    for name, text in texts:
        (folder / name).write_text(text, encoding="utf-8")
    write_json(folder / BENCH_MANIFEST, manifest)
