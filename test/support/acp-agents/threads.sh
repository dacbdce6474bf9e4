#!/bin/sh
# A scripted program that speaks as `codex exec --json` does: it remembers its conversations in its HOME, and does what the lines of its
# prompt say. Its token counts are sums over the conversation, ten a turn.
[ "$1" = --version ] && { echo "codex-cli 0.169.0"; exit; }
resume=""
while [ $# -gt 0 ]; do
  [ "$1" = resume ] && resume=$2
  shift
done
input=$(cat)
mkdir -p "$HOME/threads"
if [ -n "$resume" ] && [ ! -e "$HOME/threads/$resume" ]; then
  printf '\033[91mError: \033[0mSession not found: no rollout found for thread id %s\n\nStack backtrace:\n   0: <unknown>\n' "$resume" >&2
  exit 1
fi
id=${resume:-$(cat /proc/sys/kernel/random/uuid)}
say() { printf '{"type":"item.completed","item":{"id":"i%s","type":"agent_message","text":"%s"}}\n' "$1" "$2"; }
printf '%s\n' "$input" | while IFS= read -r line; do
  case $line in "DIE EARLY") kill -9 $$ ;; esac
done
printf '{"type":"thread.started","thread_id":"%s"}\nnot json at all\n' "$id"
printf '%s|' "$input" | tr '\n"\\' ' ..' >> "$HOME/threads/$id"
printf '%s\n' "$input" | while IFS= read -r line; do
  case $line in
    "SAY "*) say 1 "${line#SAY }" ;;
    "RECALL") say 1 "$(cat "$HOME/threads/$id")" ;;
    "WRITE "*) rest=${line#WRITE }; file=${rest%%: *}
      printf '{"type":"item.started","item":{"id":"w","type":"command_execution","command":"write","status":"in_progress"}}\n'
      printf '%s' "${rest#*: }" > "$file"
      printf '{"type":"item.completed","item":{"id":"w","type":"command_execution","command":"write","aggregated_output":"","status":"completed"}}\n'
      say 2 written ;;
    "FAIL "*) printf '{"type":"turn.failed","error":{"message":"400 %s"}}\n' "${line#FAIL }"; exit 1 ;;
    "LIMIT") printf '{"type":"turn.failed","error":{"message":"429 Too Many Requests"}}\n'; exit 1 ;;
    "HANG "*) printf '%s' "$line" > "$HOME/hanging"; sleep 600 ;;
    "LONG") head -c 70000000 /dev/zero | tr '\0' x ;;
    "TELL") printf '{"type":"turn.failed","error":{"message":"wrong key %s"}}\n' "$TUTTI_BROKER_TOKEN"; exit 1 ;;
    "LEAK") printf 'the key is %s\n' "$TUTTI_BROKER_TOKEN" >&2; exit 4 ;;
  esac
done || exit
turns=$(tr -cd '|' < "$HOME/threads/$id" | wc -c)
printf '{"type":"turn.completed","usage":{"input_tokens":%s,"cached_input_tokens":0,"output_tokens":%s}}\n' $((turns * 10)) "$turns"
