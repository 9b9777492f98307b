"""Used by both examples: makes the contract's classes, connects, reads samples from files, and reports refusals.

Needs `pip install grpcio grpcio-tools`. The classes are generated from proto/ when a program starts; a program of your
own generates them once, when it is built: python3 -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. …
"""

import argparse
import atexit
import shutil
import sys
import tempfile
from pathlib import Path

try:
    import grpc
    from grpc_tools import protoc
except ImportError:
    sys.exit("This example needs grpcio and grpcio-tools: pip install grpcio grpcio-tools")

CONTRACT = Path(__file__).resolve().parents[3] / "proto"
FILES = [
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "ridgewatch/v1/explanation.proto",
    "ridgewatch/v1/sample.proto",
    "ridgewatch/v1/handling.proto",
    "ridgewatch/v1/gallery.proto",
    "ridgewatch/v1/identification.proto",
]


def _generate():
    folder = tempfile.mkdtemp(prefix="ridgewatch-python-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # google/protobuf/*.proto come with grpcio-tools.
    standard = Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{CONTRACT}", f"-I{standard}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, *FILES]) != 0:
        sys.exit(f"The contract in {CONTRACT} cannot be compiled.")
    sys.path.insert(0, folder)


_generate()

from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from ridgewatch.v1 import gallery_pb2, gallery_pb2_grpc  # noqa: E402
from ridgewatch.v1 import identification_pb2, identification_pb2_grpc, sample_pb2  # noqa: E402,F401


def arguments(description):
    """The options that every example takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("files", nargs="+", help="templates of one person: .iso (finger minutiae), .f32 (face)")
    parser.add_argument("--address", default="127.0.0.1:50151", help="host:port of the service")
    parser.add_argument("--timeout-ms", type=int, default=2000, help="deadline of the call")
    parser.add_argument("--model", default="synthetic-512", help="the model that made face embeddings")
    parser.add_argument("--tls-ca", help="PEM file with the authority of the service's certificate; not given: no TLS")
    parser.add_argument("--tls-cert", help="PEM file with the certificate of this client")
    parser.add_argument("--tls-key", help="PEM file with its key")
    parser.add_argument(
        "--token-file",
        default=".ridgewatch/local-token",
        help="file with the token of this client; default: the one that a service started here has made",
    )
    return parser


def connect(options):
    """A channel to the service. Use it with `with`."""
    # Otherwise templates would go through a proxy named by the environment.
    direct = [("grpc.enable_http_proxy", 0)]
    if options.tls_ca is None:
        return _with_token(grpc.insecure_channel(options.address, options=direct), options.token_file)
    read = lambda name: None if name is None else Path(name).read_bytes()  # noqa: E731
    credentials = grpc.ssl_channel_credentials(read(options.tls_ca), read(options.tls_key), read(options.tls_cert))
    return _with_token(grpc.secure_channel(options.address, credentials, options=direct), options.token_file)


class _Token(grpc.UnaryUnaryClientInterceptor):
    """Shows the token with every call."""

    def __init__(self, token):
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(_Details(details, self._header), request)


class _Details(grpc.ClientCallDetails):
    def __init__(self, details, header):
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = [*(details.metadata or ()), header]
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


def _with_token(channel, file):
    """Without a token, the service knows the client by its certificate."""
    if not Path(file).exists():
        return channel
    return grpc.intercept_channel(channel, _Token(Path(file).read_text().strip()))


def sample_of(name, model):
    """Reads a template. This example derives the format from the file extension; the service never guesses it."""
    data = Path(name).read_bytes()
    if name.endswith(".iso"):
        return sample_pb2.Sample(
            modality=sample_pb2.MODALITY_FINGER, format=sample_pb2.TEMPLATE_FORMAT_ISO_19794_2_2005, data=data
        )
    if name.endswith(".f32"):
        return sample_pb2.Sample(
            modality=sample_pb2.MODALITY_FACE,
            format=sample_pb2.TEMPLATE_FORMAT_FACE_EMBEDDING_FLOAT32,
            data=data,
            model_id=model,
            dimension=len(data) // 4,
        )
    raise ValueError(f"{Path(name).name}: this example reads .iso (finger minutiae) and .f32 (face embeddings).")


class Refused:
    """The details of a refusal.

    status: name of the gRPC status. reason: a constant of docs/errors.md; None if the refusal did not come from the
    service. fields: the fields at fault. retry_after: seconds; None if a retry alone does not help.
    """

    def __init__(self, error):
        self.status = error.code().name
        self.sentence = error.details()
        self.reason = None
        self.fields = []
        self.retry_after = None
        for key, value in error.trailing_metadata() or ():
            # It holds a google.rpc.Status. Each of its details states its type.
            if key == "grpc-status-details-bin":
                for detail in status_pb2.Status.FromString(value).details:
                    self._read(detail)

    def _read(self, detail):
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason = info.reason
        elif detail.Unpack(bad):
            self.fields = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9

    def in_words(self):
        """Everything in one line."""
        line = f"{self.status} ({self.reason}): {self.sentence}" if self.reason else f"{self.status}: {self.sentence}"
        if self.fields:
            line += f" Fields at fault: {', '.join(self.fields)}."
        if self.retry_after is not None:
            line += f" Try again in {self.retry_after * 1000:.0f} ms."
        return line


def run_example(example):
    """Runs an example. Exit code 0: it completed; 1: it failed, with a sentence."""
    try:
        example()
    except grpc.RpcError as error:
        sys.exit(Refused(error).in_words())
    except (OSError, ValueError) as error:
        sys.exit(str(error))
