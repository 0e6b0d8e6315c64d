#!/usr/bin/env bash
# Build the images of the components:  build.sh REGISTRY TAG IMAGE...   (`make images` calls it)
#
# IMAGE is base, train, or train-cpu (train without GPU libraries).  Prints the name, size and list of contents of each image.
#   ENGINE         docker, podman or buildah; default: the first of them that works
#   PYTHON_IMAGE   the base image, preferably with a digest; default: see the Dockerfile
#   PIP_CONF       a pip.conf that is used only during the build, such as for an internal mirror
#   SOURCE         URL of the repository, for the label
#   BUILD_OPTIONS  more options for the engine's build command
#   PUSH           yes: push each image to its registry
#   IMAGE_LOADER   a command that loads an image archive, such as "kind load image-archive" or "k3s ctr images import"
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "build.sh: $*" >&2; exit 1; }

works() {
  case $1 in
    docker) docker version --format '{{.Server.Version}}' ;; # the client alone builds nothing
    *) "$1" --version ;;
  esac >/dev/null 2>&1
}

find_engine() {
  for engine in ${ENGINE:-docker podman buildah}; do
    if works "$engine"; then echo "$engine"; return; fi
  done
  fail "no program that builds images works on this machine; tried ${ENGINE:-docker podman buildah}: install one" \
    "(docker: start its service), or name it by ENGINE=..."
}

build() { # NAME TARGET ACCELERATOR
  local options=(--file dockerfiles/Dockerfile --target "$2" --tag "$1" --build-arg "ACCELERATOR=$3"
    --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION" --build-arg "CREATED=$CREATED")
  [ -z "${SOURCE:-}" ] || options+=(--build-arg "SOURCE=$SOURCE")
  [ -z "${PYTHON_IMAGE:-}" ] || options+=(--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE")
  [ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip.conf,src=$PIP_CONF")
  [ "$engine" != buildah ] || options+=(--layers)
  # shellcheck disable=SC2086 # several options in one variable
  DOCKER_BUILDKIT=1 "$engine" build "${options[@]}" ${BUILD_OPTIONS:-} . 1>&2
}

contents() { # NAME FILE: the list that the build made, out of the image
  local container
  if [ "$engine" = buildah ]; then
    container=$(buildah from "$1")
    buildah run --isolation chroot "$container" -- cat /usr/share/sightline/sbom.cdx.json > "$2"
    buildah rm "$container" > /dev/null
  else
    container=$("$engine" create "$1")
    "$engine" cp "$container:/usr/share/sightline/sbom.cdx.json" "$2"
    "$engine" rm "$container" > /dev/null
  fi
}

deliver() { # NAME
  if [ -n "${IMAGE_LOADER:-}" ]; then
    local archive
    archive=$(mktemp --suffix .tar)
    rm "$archive" # the engines write no archive over a file
    case $engine in
      buildah) buildah push --quiet "$1" "docker-archive:$archive:$1" ;;
      podman) podman save --quiet --format docker-archive --output "$archive" "$1" ;;
      docker) docker save --output "$archive" "$1" ;;
    esac 1>&2
    $IMAGE_LOADER "$archive" 1>&2 || { rm -f "$archive"; fail "$IMAGE_LOADER failed for $1; see its message above"; }
    rm -f "$archive"
  elif [ "${PUSH:-}" = yes ]; then
    "$engine" push "$1" 1>&2
  fi
}

[ $# -ge 3 ] || fail "expected REGISTRY TAG IMAGE..., such as: build.sh sightline 0.1.0 base train"
registry=$1 tag=$2
shift 2
engine=$(find_engine)
VERSION=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' shared/sightline/version.py)
REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || REVISION+=-dirty
CREATED=$(git log -1 --format=%cI 2>/dev/null || echo unknown)
mkdir -p dist
for image in "$@"; do
  name=$registry/$image-python3.11:$tag
  case $image in
    base | train) build "$name" "$image" cuda ;;
    train-cpu) build "$name" train cpu ;;
    *) fail "no image $image: expected base, train or train-cpu" ;;
  esac
  contents "$name" "dist/$image-python3.11-$tag.cdx.json"
  deliver "$name"
  echo "$name: $("$engine" images --format '{{.Size}}' "$name" | head -n 1), contents in dist/$image-python3.11-$tag.cdx.json"
done
