"""Searches the gallery with a deadline (1:N), and retries after the delay that the service states.

python3 docs/examples/python/identify.py --target-fpir 0.001 docs/examples/templates/later/*
"""

import sys
import time

import grpc
from ridgewatch_client import Refused, arguments, connect, identification_pb2, run_example, sample_of, sample_pb2
from ridgewatch_client import identification_pb2_grpc


def identify(stub, request, deadline):
    """One search, repeated while the service states a retry delay that ends before the deadline."""
    while True:
        try:
            return stub.Identify(request, timeout=max(0.001, deadline - time.monotonic()))
        except grpc.RpcError as error:
            refused = Refused(error)
            if refused.retry_after is None or time.monotonic() + refused.retry_after >= deadline:
                raise
            print(f"{refused.in_words()} Trying again.", file=sys.stderr)
            time.sleep(refused.retry_after)


def main():
    parser = arguments("Searches the gallery.")
    parser.add_argument("--gallery", action="append", default=[], help="search this gallery only; may be repeated")
    parser.add_argument("--checkpoint", default="gate-1", help="the checkpoint that asks")
    parser.add_argument("--target-fpir", type=float, help="threshold, as an error rate")
    options = parser.parse_args()
    deadline = time.monotonic() + options.timeout_ms / 1000
    request = identification_pb2.IdentifyRequest(
        samples=[sample_of(name, options.model) for name in options.files],
        galleries=options.gallery,
        purpose=identification_pb2.PURPOSE_TEST,
        checkpoint_id=options.checkpoint,
    )
    if options.target_fpir is not None:
        request.target_fpir = options.target_fpir
    with connect(options) as channel:
        show(identify(identification_pb2_grpc.IdentificationStub(channel), request, deadline))


def show(answer):
    mode = identification_pb2.SearchMode.Name(answer.search_mode)
    print(
        f"Searched {answer.subjects_searched} subjects ({mode}); "
        f"a subject who is not enrolled gets a candidate in {100 * answer.fpir:.2g} % of searches."
    )
    for candidate in answer.candidates:
        band = sample_pb2.Band.Name(candidate.band)
        print(
            f"{candidate.rank}. {candidate.subject_id}: "
            f"false match rate 10^{candidate.log10_fmr:.1f}, {band}"
        )
    if not answer.candidates:
        print("No candidate. This does not say that the person is not enrolled.")
    # A checkpoint must not ignore any of these.
    if answer.truncated:
        print("More candidates reached the threshold than were requested.")
    if answer.empty_scope != identification_pb2.EMPTY_SCOPE_UNSPECIFIED:
        print(f"Nothing was searched: {identification_pb2.EmptyScope.Name(answer.empty_scope)}.")
    if answer.searched_fraction < 1:
        print(f"Only {100 * answer.searched_fraction:g} % was searched.")
    if answer.damaged_reference_count > 0:
        print(f"{answer.damaged_reference_count} references could not be compared.")
    for sample in answer.samples:
        if sample.outcome != sample_pb2.SAMPLE_OUTCOME_COMPARED:
            print(f"Sample {sample.sample_index} was not used: {sample.reason}")


run_example(main)
