# Pulls the models named as arguments into the Ollama server at OLLAMA_HOST. Safe to repeat: what is there already is
# only compared with the library, and a broken download goes on where it stopped. With REMOVE_UNDECLARED=true the
# server loses every model that is not named.
set -eu

ready=false
for _ in $(seq 1 120); do
  if ollama list >/dev/null 2>&1; then
    ready=true
    break
  fi
  sleep 5
done
if [ "$ready" != true ]; then
  echo "no answer from $OLLAMA_HOST within 10 minutes" >&2
  exit 1
fi

for model in "$@"; do
  echo "pulling $model"
  ollama pull "$model"
done

if [ "${REMOVE_UNDECLARED:-false}" = true ]; then
  ollama list | while read -r name _; do
    if [ "$name" = NAME ]; then
      continue
    fi
    declared=false
    for model in "$@"; do
      case "$model" in
        *:*) ;;
        *) model="$model:latest" ;;
      esac
      if [ "$name" = "$model" ]; then
        declared=true
      fi
    done
    if [ "$declared" = false ]; then
      echo "removing $name"
      ollama rm "$name"
    fi
  done
fi
