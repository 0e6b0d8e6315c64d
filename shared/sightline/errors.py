"""The errors that Sightline raises on purpose.

Every message says what is wrong, where, what was expected and what to do next.  Each class also derives from the most
similar built-in exception, so that ``except ValueError`` works for callers who do not know this tree::

    SightlineError
    ├── ConfigurationError (ValueError)        recipe, --set, settings file
    │   └── NoKubeflowError                    no host, kubeconfig or profile
    ├── DataError (ValueError)                 annotations, images, COCO documents, splits
    ├── RepositoryError (RuntimeError)         git, DVC, dataset tags
    │   └── UnknownTagError (LookupError)
    ├── StorageError (OSError)                 result bucket
    │   ├── ObjectNotFoundError (FileNotFoundError)
    │   ├── DamagedObjectError                 bytes differ from those that were written
    │   └── PreconditionFailedError            another process wrote first
    ├── DatabaseError (RuntimeError)           SQL
    │   ├── VersionConflictError               one tag with two different contents
    │   └── UnknownNameError (LookupError)     no tag, run or model with that name
    │       └── AmbiguousNameError             several of them
    ├── CodeError (RuntimeError)               published code
    ├── ModelFileError (ValueError)            a model file that cannot be used here
    ├── KubeflowError (RuntimeError)           Kubeflow or its cluster rejected a request
    │   ├── UnreachableError (ConnectionError)
    │   ├── NotAuthorisedError (PermissionError)
    │   ├── NotThereError (LookupError)        no run, schedule or object with that name, or several
    │   ├── TakenError                         the name is taken, or the state does not allow it
    │   └── NotReadyError                      a requirement of a run is missing in the cluster
    └── StepError (RuntimeError)               a step that cannot continue
"""

from __future__ import annotations


class SightlineError(Exception):
    """Base class of all errors that Sightline raises on purpose; the message is meant for users."""


class ConfigurationError(SightlineError, ValueError):
    """An invalid recipe, override or settings file."""


class NoKubeflowError(ConfigurationError):
    """No option, variable or file configures the address of Kubeflow."""


class DataError(SightlineError, ValueError):
    """Annotations, images or COCO documents that cannot be used."""


class RepositoryError(SightlineError, RuntimeError):
    """Git or DVC failed, or the data repository is invalid."""


class UnknownTagError(RepositoryError, LookupError):
    """A dataset tag that the data repository does not have."""


class StorageError(SightlineError, OSError):
    """The result bucket could not be read or written."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """An object that does not exist in the bucket."""


class DamagedObjectError(StorageError):
    """A damaged object: its bytes differ from those that were written."""


class PreconditionFailedError(StorageError):
    """The object does not have the generation that the writer expected: another process wrote it first."""


class DatabaseError(SightlineError, RuntimeError):
    """The database cannot be reached, or does not have the schema that this code expects."""


class VersionConflictError(DatabaseError):
    """A dataset version is registered already, with other contents."""


class UnknownNameError(DatabaseError, LookupError):
    """A name that no tag, run or model in the database has, or that several have."""


class AmbiguousNameError(UnknownNameError):
    """A name that is the beginning of several runs, models or tags."""


class CodeError(SightlineError, RuntimeError):
    """A code snapshot that is missing, damaged, or cannot be published."""


class ModelFileError(SightlineError, ValueError):
    """A model file that is damaged, or was made for other classes or another task."""


class KubeflowError(SightlineError, RuntimeError):
    """Kubeflow Pipelines or its cluster rejected a request, or sent an unexpected answer."""


class UnreachableError(KubeflowError, ConnectionError):
    """No server answers at the address."""


class NotAuthorisedError(KubeflowError, PermissionError):
    """The credentials are invalid, or their owner lacks the permission."""


class NotThereError(KubeflowError, LookupError):
    """A name that matches no object on the server, or several."""


class TakenError(KubeflowError):
    """The name is taken, or the object is in a state that does not allow this operation."""


class NotReadyError(KubeflowError):
    """A secret, ConfigMap, volume, dataset tag or code revision that a run needs is missing."""


class StepError(SightlineError, RuntimeError):
    """A step that cannot continue, with the reason and what to do."""
