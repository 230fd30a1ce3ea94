"""What the routes of the management API work with; made once, in `process.py` or by a test."""

from dataclasses import dataclass

from augurium.control.access_keeper import AccessKeeper
from augurium.control.batch_jobs import BatchJobs
from augurium.control.batch_schedules import BatchSchedules
from augurium.control.deployments import Deployments
from augurium.control.feedback import Feedback
from augurium.control.imports import Imports
from augurium.control.link_hub import LinkHub
from augurium.control.node_engines import NodeEngines
from augurium.control.prediction_records import PredictionRecords
from augurium.control.profiles import Profiles
from augurium.control.replica_scaling import ReplicaScaling
from augurium.control.rollouts import Rollouts
from augurium.control.series import Series
from augurium.control.traffic import Traffic
from augurium.control.transfers import Transfers
from augurium.control.uploads import Uploads
from augurium.control.variant_ticks import VariantTicks
from augurium.core.accelerators import Accelerators
from augurium.core.home import NodeConfig
from augurium.registry.garbage import Garbage
from augurium.registry.registry import Registry

ACTOR = "local"  # of changes that no request asked for; routes take `parameters.ActorOf`


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the management API."""

    node: NodeConfig
    registry: Registry
    hub: LinkHub
    engines: NodeEngines
    deployments: Deployments
    traffic: Traffic
    imports: Imports
    uploads: Uploads
    transfers: Transfers
    profiles: Profiles
    access: AccessKeeper
    garbage: Garbage
    replicas: ReplicaScaling
    accelerators: Accelerators
    ticks: VariantTicks
    series: Series
    predictions: PredictionRecords
    feedback: Feedback
    rollouts: Rollouts
    batch: BatchJobs
    batch_schedules: BatchSchedules
