#!/usr/bin/env bash
# Puts a service of a scenario on a device: builds its image here, takes it there, starts it with
# the messages of an MQTT broker, and looks for some seconds whether it stays up.
#
#   scripts/deploy_to_edge.sh --scenario FILE --name NODE --broker HOST[:PORT] --target USER@HOST
#
# What:
#   --scenario FILE    take the node's service, config, environment, files and limits, and the
#                      seed, from this scenario
#   --name NODE        the node's name, in the scenario and in topics
#   --service NAME     instead of --scenario: the service, as in a scenario, with
#     --config JSON      its config, or @FILE
#     --base FOLDER      folder of the files that the config names
#     --seed NUMBER      of its random numbers
#   --file NAME        a further file or folder, relative to the scenario; may be repeated
#   --image IMAGE      an image that has the service and what it needs, instead of simcore's own
#   --platform P       what to build the image for, as linux/arm64; this machine's without it
# Where to (one of them, or both):
#   --target HOST      a machine that ssh reaches and that runs Docker; "local" is this one.
#                      Without --registry the image is sent over the connection
#   --registry NAME    push the image here, as registry.example/team; a target pulls it
# How it runs:
#   --broker ADDRESS   the MQTT broker, as the device reaches it
#   --prefix TOPIC     first levels of all topics (simcore)
#   --env-file FILE    further SIMCORE_DEPLOY_ variables: USER, PASSWORD, QOS, TLS, CA, MQTT, LOG
#   --network NAME     Docker's network on the device (bridge)
#   --restart POLICY   of Docker (unless-stopped)
#   --dry-run          only print the commands
#
# Needs Docker and simcore here (PYTHON may name its interpreter), and for a target ssh.
set -euo pipefail
exec </dev/null # ssh would read what is meant for whoever calls this

fail() {
    echo "deploy_to_edge.sh: $*" >&2
    exit 2
}

dry=no name='' platform='' target='' registry='' broker='' prefix='' environment=''
network=bridge restart=unless-stopped bundling=()
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry=yes ;;
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    --*)
        case $1 in
        --name | --scenario | --service | --config | --base | --seed | --file | --image | --platform | --target | \
            --registry | --broker | --prefix | --env-file | --network | --restart) ;;
        *) fail "$1 is not known (try --help)" ;;
        esac
        if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 needs a value"; fi
        case $1 in
        --name) name=$2 ;;
        --scenario | --service | --config | --base | --seed | --file | --image) bundling+=("$1" "$2") ;;
        --platform) platform=$2 ;;
        --target) target=$2 ;;
        --registry) registry=${2%/} ;;
        --broker) broker=$2 ;;
        --prefix) prefix=$2 ;;
        --env-file) environment=$2 ;;
        --network) network=$2 ;;
        --restart) restart=$2 ;;
        esac
        shift
        ;;
    *) fail "$1 is not known (try --help)" ;;
    esac
    shift
done

[ -n "$name" ] || fail "--name is missing"
[ -n "$broker" ] || fail "--broker is missing"
[ -n "$target$registry" ] || fail "say where to: --target, --registry, or both"
case $target in -*) fail "--target $target: a host does not begin with -" ;; esac
case $platform in
'' | */*) ;;
*) fail "--platform $platform: write system and processor, as linux/arm64" ;;
esac
if [ -n "$environment" ]; then
    [ -f "$environment" ] || fail "--env-file $environment: no such file"
    if grep -qvE '^(SIMCORE_DEPLOY_[A-Z_]+=.*|#.*|)$' "$environment"; then
        fail "--env-file $environment: each line is SIMCORE_DEPLOY_SOMETHING=VALUE"
    fi
fi
if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); else candidates=(python python3); fi
python=''
for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import simcore_backends' 2>/dev/null; then python=$candidate && break; fi
done
[ -n "$python" ] || fail "simcore is not installed: set PYTHON to the interpreter that has it"

# -- words and commands

quoted() { # words, as any shell reads them
    local word line=''
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_/.:=,@%+-]* | '') line+=" '${word//\'/\'\\\'\'}'" ;;
        *) line+=" $word" ;;
        esac
    done
    echo "${line# }"
}

run() { # a command that changes something
    if [ "$dry" = yes ]; then quoted "$@"; else "$@"; fi
}

there() { # a command on the target
    if [ "$target" = local ]; then
        "$@"
    else
        ssh -- "$target" "$(quoted "$@")"
    fi
}

run_there() {
    if [ "$dry" = no ]; then
        there "$@"
    elif [ "$target" = local ]; then
        quoted "$@"
    else
        quoted ssh -- "$target" "$(quoted "$@")"
    fi
}

# -- the bundle: what to build, and how it runs

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bundle=$folder/bundle
"$python" -m simcore_backends.docker.bundle "$bundle" --name "$name" ${bundling[@]+"${bundling[@]}"} || exit 2
{
    read -r image
    read -r tag
} <"$bundle/names"
mapfile -t building < <(sed 's/^/--build-arg=/' "$bundle/image.args")
if [ -n "$platform" ]; then platform_option=(--platform "$platform"); else platform_option=(); fi
mapfile -t running <"$bundle/run.args"
{
    echo "SIMCORE_DEPLOY_BROKER=$broker"
    if [ -n "$prefix" ]; then echo "SIMCORE_DEPLOY_PREFIX=$prefix"; fi
    if [ -n "$environment" ]; then cat "$environment"; fi
} >>"$bundle/node.env"
check='import sys; from simcore_backends.docker.bundle import check_told; check_told(sys.argv[1])'
wrong=$("$python" -c "$check" "$bundle/node.env" 2>&1 >/dev/null) || fail "$wrong"
if [ -n "$registry" ]; then tag=$registry/${tag#simcore-deployed/}; fi
container=simcore-$name
running=(docker run --detach --name "$container" --restart "$restart" --network "$network"
    --label "simcore.deployed=$name" "${running[@]}")

# -- here

if [ "$dry" = no ]; then
    command -v docker >/dev/null || fail "docker is not installed here"
    docker version --format '{{.Server.Version}}' >/dev/null || fail "no Docker Engine answers here"
fi
build() { # tag, and more for docker build
    if [ "$dry" = yes ]; then
        quoted docker build --quiet --tag "$@"
    else
        echo "building $1"
        docker build --quiet --tag "$@" >/dev/null || fail "$1 cannot be built"
    fi
}

fits() { # image's system, target's system
    case $1 in
    "$2") ;;
    linux/arm) [[ $2 == linux/arm/* ]] ;;
    linux/arm/v5 | linux/arm/v6 | linux/arm/v7) [[ $2 == linux/arm/* && ${1##*/v} -le ${2##*/v} ]] ;;
    linux/arm64/*) [ "$2" = linux/arm64 ] ;;
    *) false ;;
    esac
}

system_of() { # of an image that is here, as linux/arm64
    docker image inspect --format '{{.Os}}/{{.Architecture}}{{if .Variant}}/{{.Variant}}{{end}}' "$1"
}

is_here() { # an image of this name, for the platform if one is given
    local found
    case $1 in *:*-no-base*) return 1 ;; esac # the name does not tell what it is built on
    [ "$dry" = no ] && found=$(system_of "$1" 2>/dev/null) || return 1
    [ -z "$platform" ] || fits "$found" "$platform"
}

if [ -d "$bundle/image" ]; then
    # Simulations here take the image of this name: one for another platform gets a name of its own.
    if [ -n "$platform" ] && ! is_here "$image"; then image+=-${platform//\//-}; fi
    if is_here "$image"; then
        echo "$image is here already"
    else
        build "$image" ${platform_option[@]+"${platform_option[@]}"} \
            ${building[@]+"${building[@]}"} "$bundle/image"
    fi
fi
build "$tag" ${platform_option[@]+"${platform_option[@]}"} \
    --build-arg "IMAGE=$image" "$bundle/node"

# -- does it fit

system_there() { # as linux/arm64, linux/arm/v7
    local found code=0 machine
    found=$(there docker version --format '{{.Server.Os}}/{{.Server.Arch}}') || code=$?
    if [ $code = 255 ] && [ "$target" != local ]; then fail "--target $target: ssh cannot connect"; fi
    case $code$found in
    0*/*) ;;
    *) fail "--target $target: no Docker Engine answers there; is it installed, and may $target use it (group docker)?" ;;
    esac
    if [ "$found" = linux/arm ]; then
        machine=$(there uname -m)
        case $machine in
        armv6*) found+=/v6 ;;
        armv7*) found+=/v7 ;;
        *) found+=/v8 ;;
        esac
    fi
    echo "$found"
}

if [ "$dry" = yes ]; then
    if [ -n "$target" ]; then run_there docker version --format '{{.Server.Os}}/{{.Server.Arch}}'; fi
else
    built=$(system_of "$tag")
    if [ -n "$platform" ] && ! fits "$built" "$platform" && ! fits "$platform" "$built"; then
        fail "the image is for $built, not for $platform: Docker built it from an image that is here" \
            "already and is for $built; name one for $platform with SIMCORE_BASE_IMAGE"
    fi
    if [ -n "$target" ]; then
        found=$(system_there)
        fits "$built" "$found" ||
            fail "the image is for $built and $target is $found: add --platform $found"
    fi
fi

# -- there

if [ -n "$registry" ]; then
    run docker push --quiet "$tag"
fi
if [ -z "$target" ]; then
    if [ "$dry" = no ]; then
        (umask 077 && cat "$bundle/node.env" >"$container.env")
        echo "pushed; with $container.env, a device starts it by"
    fi
    quoted "${running[@]}" --env-file "$container.env" "$tag"
    exit 0
fi

if [ -n "$registry" ]; then
    run_there docker pull --quiet "$tag"
elif [ "$target" != local ]; then
    if [ "$dry" = yes ]; then
        echo "$(quoted docker save "$tag") | $(quoted ssh -C -- "$target" docker load)"
    else
        here=$(docker image inspect --format '{{.Id}}' "$tag")
        if [ "$here" != "$(there docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null)" ]; then
            echo "sending $tag to $target"
            docker save "$tag" | ssh -C -- "$target" docker load >/dev/null ||
                fail "the image did not reach $target"
        fi
    fi
fi

if [ "$dry" = no ]; then
    if owner=$(there docker container inspect --format '{{index .Config.Labels "simcore.deployed"}}' \
        "$container" 2>/dev/null); then
        [ "$owner" = "$name" ] ||
            fail "$target has a container $container already, and this script did not make it"
        there docker stop --time 10 "$container" >/dev/null # it says that it goes offline
        there docker rm "$container" >/dev/null
    fi
fi
# What the service is told goes over standard input: no list of processes shows a password.
running+=(--env-file /dev/stdin "$tag")
asking=(docker container inspect --format '{{.State.Status}} {{.RestartCount}}' "$container")
if [ "$dry" = yes ]; then
    echo "$(run_there "${running[@]}") <<end"
    sed 's/^\(SIMCORE_DEPLOY_PASSWORD\)=.*/\1=.../' "$bundle/node.env"
    echo end
    run_there "${asking[@]}"
else
    there "${running[@]}" <"$bundle/node.env" >/dev/null || fail "$container did not start on $target"
    for pause in 1 2 3; do
        sleep $pause
        state=$(there "${asking[@]}") || fail "$container is on $target, but whether it stays up cannot be asked"
        if [ "$state" != "running 0" ]; then
            there docker logs --tail 20 "$container" >&2 || true
            fail "$container does not stay up on $target (state and restarts: $state; its last lines" \
                "are above); it is left there: docker rm --force $container ends it"
        fi
    done
    echo "$container runs on $target; what it says is shown by"
    dry=yes run_there docker logs --follow "$container"
fi
