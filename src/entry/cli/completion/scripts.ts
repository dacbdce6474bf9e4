export const shells = ["bash", "zsh", "fish", "powershell"] as const;
export type Shell = (typeof shells)[number];

/**
 * What each shell is told. All ask `tutti __complete <words before> :<current word>` and show its lines; the colon keeps an empty
 * word from being lost. Words of the answer are never evaluated (no `compgen -W`, no `eval`): an agent may have named what they name.
 * With the compile cache named from outside, Node has even the first file ready.
 */
const cache = '"${NODE_COMPILE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tutti/compiled}"';

const bash = `# tutti: completion for bash
_tutti() {
  local word about width=0 index program="\${COMP_WORDS[0]/#\\~\\//$HOME/}"
  local -a before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}") words=() abouts=()
  COMPREPLY=()
  while IFS=$'\\t' read -r word about; do
    [ -n "$word" ] || continue
    words+=("$word") abouts+=("$about")
    [ "\${#word}" -gt "$width" ] && width=\${#word}
  done < <(NODE_COMPILE_CACHE=${cache} command "$program" __complete "\${before[@]}" ":\${COMP_WORDS[COMP_CWORD]}" 2>/dev/null)
  # A single word is put into the line; with several, readline lists them, and shows what each is.
  if [ "\${#words[@]}" -le 1 ] || [ "$COMP_TYPE" = 37 ] || [ "$COMP_TYPE" = 42 ]; then
    COMPREPLY=("\${words[@]}")
    return
  fi
  for index in "\${!words[@]}"; do
    if [ -n "\${abouts[index]}" ]; then
      printf -v about '%-*s  (%s)' "$width" "\${words[index]}" "\${abouts[index]}"
    else
      about=\${words[index]}
    fi
    COMPREPLY+=("$about")
  done
}
complete -o default -o nosort -F _tutti tutti 2>/dev/null || complete -o default -F _tutti tutti
`;

const zsh = `#compdef tutti
# tutti: completion for zsh
_tutti() {
  local line program="\${words[1]/#\\~\\//$HOME/}"
  local -a offers
  for line in "\${(@f)$(NODE_COMPILE_CACHE=${cache} command "$program" __complete "\${(@)words[2,CURRENT-1]}" ":\${words[CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && offers+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#offers} )); then
    _describe -V 'tutti' offers
  else
    _files
  fi
}
(( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit }
compdef _tutti tutti
`;

const fish = `# tutti: completion for fish
function __tutti_offers
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $before[1])
    set -q XDG_CACHE_HOME; or set -l XDG_CACHE_HOME "$HOME/.cache"
    set -l offers (NODE_COMPILE_CACHE="$XDG_CACHE_HOME/tutti/compiled" command $program __complete $before[2..-1] ":$current" 2>/dev/null)
    if set -q offers[1]
        printf '%s\\n' $offers
    else
        __fish_complete_path "$current"
    end
end
complete -c tutti -f -k -a '(__tutti_offers)'
`;

const powershell = `# tutti: completion for PowerShell
Register-ArgumentCompleter -Native -CommandName tutti -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition -or ($_.Extent.EndOffset -eq $cursorPosition -and $wordToComplete -eq '') } | ForEach-Object { $_.Extent.Text })
  $program = $words[0]
  $before = @($words | Select-Object -Skip 1)
  & $program __complete @before ":$wordToComplete" 2>$null | ForEach-Object {
    $word, $about = $_ -split "\`t", 2
    if (-not $about) { $about = $word }
    [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $about)
  }
}
`;

export const scripts: Record<Shell, string> = { bash, zsh, fish, powershell };
