"""A foreign gRPC client: Python's grpcio with code that protoc makes from proto/ on the spot.

usage: grpc_client.py ADDRESS PROTO_DIR SCRATCH_DIR
Creates, uploads, lists, downloads and deletes one image; ends with the line "done" or a traceback.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import uuid

import grpc
import grpc_tools

address, proto_dir, scratch = sys.argv[1:4]
SERVICES = [
    'oriel/catalog/v1/image.proto',
    'oriel/catalog/v1/image_change.proto',
    'oriel/catalog/v1/image_filter.proto',
    'oriel/catalog/v1/catalog_service.proto',
    'oriel/data/v1/data_service.proto',
]
# Debian's grpc_tools carries a compiler too old for `optional` in proto3, so the compiler is protobuf-compiler's; the
# well-known types are taken from grpc_tools.
includes = os.path.join(os.path.dirname(grpc_tools.__file__), '_proto')
subprocess.run(['protoc', '-I' + proto_dir, '-I' + includes, '--python_out=' + scratch, '--grpc_out=' + scratch,
                '--plugin=protoc-gen-grpc=' + shutil.which('grpc_python_plugin'), *SERVICES], check=True)
sys.path.insert(0, scratch)

from oriel.catalog.v1 import catalog_service_pb2 as catalog  # noqa: E402
from oriel.catalog.v1 import catalog_service_pb2_grpc as catalog_grpc  # noqa: E402
from oriel.catalog.v1 import image_pb2  # noqa: E402
from oriel.data.v1 import data_service_pb2 as data  # noqa: E402
from oriel.data.v1 import data_service_pb2_grpc as data_grpc  # noqa: E402

DEADLINE_S = 20
content = os.urandom(3 * 1024 * 1024 + 17)


def check(condition, what):
    if not condition:
        sys.exit('failed: ' + what)


def parts(image_id):
    yield data.UploadImageRequest(header=data.UploadHeader(image_id=image_id, size=len(content)))
    for start in range(0, len(content), 1024 * 1024):
        yield data.UploadImageRequest(chunk=content[start:start + 1024 * 1024])


with grpc.insecure_channel(address) as channel:
    images = catalog_grpc.CatalogServiceStub(channel)
    bytes_of = data_grpc.DataServiceStub(channel)
    created = images.CreateImage(catalog.CreateImageRequest(
        request_id=str(uuid.uuid4()), name='from python', disk_format='raw', container_format='bare',
        tags=['foreign'], properties={'client': 'grpcio'}), timeout=DEADLINE_S).image
    check(created.status == image_pb2.IMAGE_STATUS_QUEUED, 'a new image is queued')

    uploaded = bytes_of.UploadImage(parts(created.id), timeout=DEADLINE_S).image
    check(uploaded.status == image_pb2.IMAGE_STATUS_ACTIVE, 'an uploaded image is active')
    check(uploaded.checksum == hashlib.md5(content).hexdigest(), 'checksum is the MD5 of the bytes')

    listed = images.ListImages(catalog.ListImagesRequest(), timeout=DEADLINE_S).images
    check([image.properties['client'] for image in listed if image.id == created.id] == ['grpcio'], 'the list has it')

    messages = list(bytes_of.DownloadImage(data.DownloadImageRequest(image_id=created.id), timeout=DEADLINE_S))
    check(messages[0].header.size == len(content), 'the header says the size')
    check(b''.join(message.chunk for message in messages[1:]) == content, 'the bytes come back')

    images.DeleteImage(catalog.DeleteImageRequest(id=created.id, request_id=str(uuid.uuid4())), timeout=DEADLINE_S)
    try:
        images.GetImage(catalog.GetImageRequest(id=created.id), timeout=DEADLINE_S)
        check(False, 'a deleted image is gone')
    except grpc.RpcError as error:
        check(error.code() == grpc.StatusCode.NOT_FOUND, 'a deleted image is NOT_FOUND, got %s' % error.code())
print('done')
