#!/bin/sh
# Writes an ELF file into the flash of an STM32F405/407 board, checks it, and starts it.
#
#   scripts/flash.sh [--dry-run] [--tool openocd|st-flash] [--interface NAME] [ELF]
#
#   --dry-run     only print the command
#   --tool        which program does it: openocd if it is installed, else st-flash
#   --interface   of OpenOCD, the debug probe: stlink (default), jlink, cmsis-dap ...
#   ELF           firmware/prebuilt/meter-stm32f4.elf, unless another is named
#
# Debian: apt-get install openocd, or stlink-tools and binutils.
set -eu

fail() {
    echo "flash.sh: $*" >&2
    exit 2
}

dry=no tool='' interface=stlink elf=''
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry=yes ;;
    --tool | --interface)
        [ $# -gt 1 ] || fail "$1 needs a value"
        if [ "$1" = --tool ]; then tool=$2; else interface=$2; fi
        shift
        ;;
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    -*) fail "$1 is not known (try --help)" ;;
    *)
        [ -z "$elf" ] || fail "one ELF file at a time"
        elf=$1
        ;;
    esac
    shift
done
[ -n "$elf" ] || elf=$(dirname "$0")/../firmware/prebuilt/meter-stm32f4.elf

[ -f "$elf" ] || fail "$elf: no such file (make -C firmware stm32f4 builds one)"
case $elf in *[\ \"\{\}\[\]\$\\]*) fail "$elf: OpenOCD cannot take this name" ;; esac
byte() { od -An -v -tu1 -j "$1" -N 1 "$elf" | tr -d ' '; }
[ "$(od -An -v -tx1 -N 6 "$elf" | tr -d ' ')" = 7f454c460101 ] || fail "$elf: no 32-bit little-endian ELF file"
[ "$(byte 18)" = 40 ] || fail "$elf: for another processor (machine $(byte 18); an ARM is 40)"

if [ -z "$tool" ]; then
    tool=openocd
    if ! command -v openocd >/dev/null && command -v st-flash >/dev/null; then tool=st-flash; fi
fi

run() {
    if [ $dry = yes ]; then
        for word in "$@"; do
            case $word in *\ *) printf "'%s' " "$word" ;; *) printf '%s ' "$word" ;; esac
        done | sed 's/ $//'
        echo
    else
        command -v "$1" >/dev/null || fail "$1 is not installed (Debian: openocd, or stlink-tools and binutils)"
        "$@"
    fi
}

case $tool in
openocd)
    run openocd -f "interface/$interface.cfg" -f target/stm32f4x.cfg -c "program $elf verify reset exit"
    ;;
st-flash) # takes no ELF file, but what is to stand in flash from its beginning
    binary=${elf%.elf}.bin
    run objcopy -I elf32-little -O binary "$elf" "$binary"
    run st-flash --reset write "$binary" 0x08000000
    ;;
*) fail "--tool $tool is not known: openocd or st-flash" ;;
esac
