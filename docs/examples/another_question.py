"""Put another question to a claim of the paper: does cardinality help without shortcuts, too?

    python another_question.py [FOLDER]

The paper's table 3 says that at equal cost more paths have a lower error. Its networks have shortcuts. Here
such networks are trained without them, at the scale "miniature": scanned digits, two runs of each, in
seconds. That shows how it is done and settles nothing; "laptop" takes CIFAR-10 and hours. The records in
FOLDER are kept: the same command goes on, and nothing is run twice.
"""

import sys
from pathlib import Path

from resnext.experiments import Experiment, Ledger, TaskEnded, Workspace, judge, plan, run
from resnext.experiments.claims import lower
from resnext.experiments.scales import default_study

#: Cardinality times width at equal cost, as `resnext design --like` gives them.
NETWORKS = {
    "1 path": "resnet11+template=16+shortcut=none",
    "4 paths": "resnext11_4x6d+template=16+shortcut=none",
}
QUESTION = Experiment(
    name="cardinality_without_shortcuts",
    claim="At equal cost, more cardinality means a lower error, without shortcuts, too",
    source="a question to Xie et al. 2017, section 5.1",
    studies={"miniature": default_study("miniature", NETWORKS, (lower("4 paths", than="1 path"),))},
    plots=("bars",),
)


def main(folder: Path) -> None:
    workspace = Workspace(results=folder / "records", runs=folder / "runs", workers=0)
    print(f"{len(plan([QUESTION], 'miniature', workspace=workspace).tasks)} runs are missing")
    for event in run([QUESTION], "miniature", workspace=workspace):
        if isinstance(event, TaskEnded) and event.record is not None:
            print(f"  {event.task.text}")
    for findings in judge(QUESTION, "miniature", Ledger.read(workspace.results)):
        for finding in findings.findings:
            print(f"{finding.claim}: {finding.ours_text} ({finding.verdict})")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "question"))
