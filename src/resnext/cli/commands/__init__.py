"""The commands of `resnext`, one a module. They import what they work with when they run."""

from resnext.cli.command import Command
from resnext.cli.commands.bench import BenchCommand
from resnext.cli.commands.calibrate import CalibrateCommand
from resnext.cli.commands.compare import CompareCommand
from resnext.cli.commands.completion import CompletionCommand
from resnext.cli.commands.convert import ConvertCommand
from resnext.cli.commands.demo import DemoCommand
from resnext.cli.commands.describe import DescribeCommand
from resnext.cli.commands.design import DesignCommand
from resnext.cli.commands.doctor import DoctorCommand
from resnext.cli.commands.embed import EmbedCommand
from resnext.cli.commands.evaluate import EvaluateCommand
from resnext.cli.commands.experiments import ExperimentsCommand
from resnext.cli.commands.export import ExportCommand
from resnext.cli.commands.index import IndexCommand
from resnext.cli.commands.models import ModelsCommand
from resnext.cli.commands.optimize import OptimizeCommand
from resnext.cli.commands.predict import PredictCommand
from resnext.cli.commands.quantize import QuantizeCommand
from resnext.cli.commands.recipes import RecipesCommand
from resnext.cli.commands.report import ReportCommand
from resnext.cli.commands.select import SelectCommand
from resnext.cli.commands.self_doctor import SelfDoctorCommand
from resnext.cli.commands.serve import ServeCommand
from resnext.cli.commands.train import TrainCommand
from resnext.cli.commands.weights import WeightsCommand

__all__ = ["CHOSEN_BY_OPTION", "COMMANDS"]

#: In the order of the help.
COMMANDS: tuple[type[Command], ...] = (
    TrainCommand,
    DoctorCommand,
    EvaluateCommand,
    PredictCommand,
    EmbedCommand,
    ServeCommand,
    ReportCommand,
    CalibrateCommand,
    ExportCommand,
    QuantizeCommand,
    OptimizeCommand,
    IndexCommand,
    RecipesCommand,
    ModelsCommand,
    WeightsCommand,
    DescribeCommand,
    DesignCommand,
    ConvertCommand,
    BenchCommand,
    ExperimentsCommand,
    CompareCommand,
    SelectCommand,
    DemoCommand,
    CompletionCommand,
)

#: Commands that are chosen by an option of another one, whose other options they have not.
CHOSEN_BY_OPTION: dict[tuple[str, str], type[Command]] = {("doctor", "--self"): SelfDoctorCommand}
