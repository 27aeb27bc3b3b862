# bash completion for netmgr(8)

_netmgr()
{
    local cur=$2 prev=$3 command="" value="" word options
    local commands='run check diff init status sets explain graph log watch metrics reload resync ping shutdown http demo help version'
    COMPREPLY=()
    if [[ $cur == = ]]; then        # --config=, of which bash makes two words, and three of --config=FILE
        cur=""
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $prev in
    -c | --config | --socket | --output | --token-file)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --log-level)
        mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$cur")
        return
        ;;
    help)
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
        return
        ;;
    esac
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word == = ]]; then
            continue
        elif [[ $value ]]; then
            value=""
        elif [[ " -c --config --socket --log-level --output --pace --exec --settle --listen --token-file --host " == *" $word "* ]]; then
            value=follows
        elif [[ " $commands " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    case $command in
    '') options="$commands --config --json --socket --version" ;;
    run) options='--config --socket --log-level --dry-run' ;;
    check) options='--strict --json --config' ;;
    init) options='--output' ;;
    diff) options='--running --config --socket' ;;
    watch) options='--json --socket --config --exec --settle' ;;
    status) options='--json --socket --config --problems --watch' ;;
    sets | explain | graph | log | metrics | reload | resync | ping | shutdown) options='--json --socket --config' ;;
    http) options='--listen --token-file --host --socket --config' ;;
    demo) options='--step --pace' ;;
    *) options= ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$cur")
    if [[ $command == check && $cur != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ $command == graph && $cur != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'dot mermaid' -- "$cur")
    fi
}

complete -F _netmgr netmgr
