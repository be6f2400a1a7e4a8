# shellcheck shell=sh disable=SC2153,SC2154
# Runs two Ruby programs in the GitLab pod, one after the other: ACCOUNT inside GitLab itself, which prints an access
# token, and PROGRAM with that token against the REST API. Both are parameters, in base64, as are NAMESPACE and POD.
# KEPT says where tokens are that GitLab would show only once: lines of name, namespace, Secret and key.
#
# Nothing secret is on a command line: the programs go by standard input, and printf is the shell's own.
in_pod() { "$k3s" kubectl exec --namespace "$NAMESPACE" --stdin "$POD" --container gitlab -- "$@"; }

"$k3s" kubectl wait --namespace "$NAMESPACE" --for=condition=Ready --timeout=10m "pod/$POD" >&2

current=
while read -r name namespace secret key; do
  [ -n "$name" ] || continue
  value=$("$k3s" kubectl get secret --namespace "$namespace" --ignore-not-found --output "jsonpath={.data.$key}" "$secret")
  current="$current
CURRENT['$name'] = '$value'"
done <<END
$KEPT
END

token=$(printf %s "$ACCOUNT" | base64 -d | in_pod gitlab-rails runner - | sed -n 's/^token=//p')
if [ -z "$token" ]; then
  echo "GitLab gave no access token" >&2
  exit 1
fi

printed=$({
  printf "TOKEN = '%s'\nCURRENT = {}%s\n" "$token" "$current"
  printf %s "$PROGRAM" | base64 -d
} | in_pod /opt/gitlab/embedded/bin/ruby -)
if [ -z "$printed" ]; then
  echo "the program in the GitLab pod printed nothing" >&2
  exit 1
fi
printf '%s\n' "$printed"
