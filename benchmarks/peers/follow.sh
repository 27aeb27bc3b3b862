#!/bin/sh
# What people write: follow.sh FAMILY TABLE SET INTERFACE.  Says "ready" when `ip monitor` listens.
family=$1 table=$2 set=$3 interface=$4
command -v stdbuf >/dev/null && line_by_line="stdbuf -oL"
(sleep 0.5; echo ready) &
$line_by_line ip -o monitor address dev "$interface" | while read -r first second rest; do
    case "$first $second $rest" in
        Deleted*) verb=delete ;;
        *) verb=add ;;
    esac
    address=$(echo "$first $second $rest" | sed -n 's/.* inet \([0-9.]*\).*/\1/p')
    [ -n "$address" ] && nft "$verb" element "$family" "$table" "$set" "{ $address }"
done
