"""Enrols one subject.

python3 docs/examples/python/enrol.py --request-id visit-17 docs/examples/templates/enrolled/*
"""

from ridgewatch_client import arguments, connect, gallery_pb2, gallery_pb2_grpc, run_example, sample_of


def main():
    parser = arguments("Enrols one subject.")
    parser.add_argument("--contributor", default="example", help="the agency that owns the record")
    parser.add_argument("--gallery", default="example", help="the gallery that the subject is to belong to")
    parser.add_argument("--request-id", default="", help="makes the call safe to repeat")
    options = parser.parse_args()
    with connect(options) as channel:
        request = gallery_pb2.EnrollRequest(
            data=gallery_pb2.SubjectData(
                contributor=options.contributor,
                galleries=[options.gallery],
                provenance=gallery_pb2.PROVENANCE_SYNTHETIC,
            ),
            samples=[sample_of(name, options.model) for name in options.files],
            # With a request id the call can be repeated if no answer came: it never enrols twice.
            client_request_id=options.request_id,
        )
        answer = gallery_pb2_grpc.GalleryStub(channel).Enroll(request, timeout=options.timeout_ms / 1000)
    subject = answer.subject
    done = "was enrolled before" if answer.repeated_request else "is enrolled"
    print(
        f"Subject {subject.subject_id} {done} with {len(subject.references)} references; "
        f"searches find it from change {answer.gallery_version} on."
    )
    # Only this line reveals a mistyped gallery name.
    if answer.new_galleries:
        print(f"No subject belonged to these galleries before: {', '.join(answer.new_galleries)}.")
    for warning in answer.warnings:
        print(f"Sample {warning.sample_index} has a warning: {warning.code}.")


run_example(main)
