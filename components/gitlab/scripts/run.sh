# shellcheck shell=sh disable=SC2154
# Runs two Ruby programs in the GitLab pod, one after the other: ACCOUNT inside GitLab itself, which prints an access
# token, and PROGRAM with that token against the REST API. Both are parameters, in base64, as are NAMESPACE and POD, and
# CLASSES and RUNNER_NAMESPACE where runners' tokens are asked for. Nothing secret is on a command line: the programs go
# by standard input, and printf is the shell's own.
in_pod() { "$k3s" kubectl exec --namespace "$NAMESPACE" --stdin "$POD" --container gitlab -- "$@"; }

"$k3s" kubectl wait --namespace "$NAMESPACE" --for=condition=Ready --timeout=10m "pod/$POD" >&2

token=$(printf %s "$ACCOUNT" | base64 -d | in_pod gitlab-rails runner - | sed -n 's/^token=//p')
if [ -z "$token" ]; then
  echo "GitLab gave no access token" >&2
  exit 1
fi

{
  printf "TOKEN = '%s'\nCURRENT = {}\n" "$token"
  for class in ${CLASSES:-}; do
    current=$("$k3s" kubectl get secret --namespace "$RUNNER_NAMESPACE" --ignore-not-found \
      --output 'jsonpath={.data.runner-token}' "runner-$class")
    printf "CURRENT['%s'] = '%s'\n" "$class" "$current"
  done
  printf %s "$PROGRAM" | base64 -d
} | in_pod /opt/gitlab/embedded/bin/ruby -
