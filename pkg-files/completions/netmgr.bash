# bash completion for netmgr(8)

_netmgr()
{
    local cur=$2 prev=$3 command="" word options
    local commands='run check diff status sets reload resync ping shutdown demo version'
    COMPREPLY=()
    case $prev in
    --config | --socket)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --log-level)
        mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$cur")
        return
        ;;
    esac
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ " $commands " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    case $command in
    '') options="$commands --version" ;;
    run) options='--config --socket --log-level --dry-run' ;;
    check | diff) options='--config' ;;
    status | sets | reload | resync | ping | shutdown) options='--json --socket --config' ;;
    demo) options='--step --pace' ;;
    *) options= ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$cur")
}

complete -F _netmgr netmgr
