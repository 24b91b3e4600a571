"""Signs requests again with botocore and compares. Reads them as a JSON list from standard input."""

import json
import sys

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def authorization(signed):
    """What botocore would send for the same request at the same second."""
    keys = Credentials(signed["key"], signed["secret"], signed["token"])
    auth = SigV4Auth(keys, signed["service"], signed["region"])
    headers = {"content-type": signed["content_type"]} if signed["content_type"] else {}
    request = AWSRequest(signed["method"], signed["url"], headers, signed["body"].encode())
    request.context["timestamp"] = signed["date"]
    # What the real client does for every service but S3: no payload header is sent.
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    auth._inject_signature_to_request(request, signature)
    return canonical, request.headers["Authorization"]


def parts(authorization):
    return dict(part.strip().split("=", 1) for part in authorization.split(" ", 1)[1].split(","))


def main():
    assert SIGV4_TIMESTAMP == "%Y%m%dT%H%M%SZ"
    requests = json.load(sys.stdin)
    assert len(requests) >= 10, "too few requests"
    wrong = 0
    for signed in requests:
        canonical, expected = authorization(signed)
        if parts(signed["authorization"]) != parts(expected):
            wrong += 1
            print(f"{signed['url']}: {signed['authorization']}\nbotocore: {expected}\n{canonical}\n")
    # A check that cannot fail proves nothing: another body has another signature.
    other = dict(requests[0], body="{}")
    assert parts(authorization(other)[1]) != parts(requests[0]["authorization"])
    print(f"signature_checks.py: {len(requests) - wrong} of {len(requests)} requests agree")
    sys.exit(wrong != 0)


main()
