#!/bin/bash
# charts/generate.sh [--check] - everything that is derived from crds/ and the chart, so that it cannot drift:
#   charts/sluice/files/crds/   copies of crds/, which the chart's templates/crds.yaml installs
#   config/base/                the rendered chart as a kustomize base, for those who do not use Helm
# --check changes nothing and exits 1 with the difference. Needs helm on the PATH (or in $HELM).
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HELM=${HELM:-helm}
OUT=$(mktemp -d "${TMPDIR:-/tmp}/sluice-generate.XXXXXX")
trap 'rm -rf "$OUT"' EXIT
MARK='# Generated from charts/sluice by charts/generate.sh; change the chart instead.'

# The chart with fresh CRDs, so that both outputs come from the same input.
cp -r "$ROOT/charts/sluice" "$OUT/chart"
rm -rf "$OUT/chart/files/crds"
mkdir -p "$OUT/chart/files/crds" "$OUT/base"
for crd in "$ROOT"/crds/*.yaml; do
  [ -e "$crd" ] && cp "$crd" "$OUT/chart/files/crds/"
done
cp "$ROOT/charts/sluice/files/crds/README.md" "$OUT/chart/files/crds/"

# One file per template. What only means something to Helm goes: its labels, the kept CRDs, the checksum (kustomize
# puts a hash into the ConfigMap's name).
"$HELM" template sluice "$OUT/chart" --namespace sluice-system --kube-version 1.33 --set crds.keep=false |
  sed -e '/^ *helm.sh\/chart: /d' -e '/^ *app.kubernetes.io\/managed-by: Helm$/d' |
  awk -v out="$OUT/base" -v mark="$MARK" '
    /^---$/ { next }
    /^# Source: / {
      count = split($3, part, "/"); file = out "/" part[count]
      if (!(file in seen)) { print mark > file; seen[file] = 1 }
      print "---" > file; next
    }
    file { print > file }'
sed -i -e '/^ *annotations:$/d' -e '/checksum\/config:/d' -e '/a change must make new pods/d' "$OUT/base/deployment.yaml"
{ echo "$MARK"; sed -n '/^  sluice.yaml: |$/,$p' "$OUT/base/configmap.yaml" | sed -e 1d -e 's/^    //' -e '/^$/d'; } >"$OUT/base/sluice.yaml"
rm "$OUT/base/configmap.yaml"
# blank lines at the end of a document come from the templates
for file in "$OUT"/base/*.yaml; do
  awk '/^$/ { held++; next } { if ($0 != "---") for (; held > 0; held--) print ""; held = 0; print }' "$file" >"$file.tidy"
  mv "$file.tidy" "$file"
done
cp "$ROOT/config/base/namespace.yaml" "$OUT/base/"
{
  echo "$MARK"
  printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: sluice-system\nresources:\n'
  (cd "$OUT/base" && for file in *.yaml; do [ "$file" = sluice.yaml ] || echo "- $file"; done)
  printf 'configMapGenerator:\n- name: sluice\n  files: [sluice.yaml]\n'
} >"$OUT/kustomization.yaml"
mv "$OUT/kustomization.yaml" "$OUT/base/"

if [ "${1:-}" = --check ]; then
  drift=0
  diff -ru "$ROOT/charts/sluice/files/crds" "$OUT/chart/files/crds" || drift=1
  diff -ru "$ROOT/config/base" "$OUT/base" || drift=1
  [ $drift = 0 ] || echo "generated files are out of date; run charts/generate.sh" >&2
  exit $drift
else
  rm -rf "$ROOT/charts/sluice/files/crds" "$ROOT/config/base"
  cp -r "$OUT/chart/files/crds" "$ROOT/charts/sluice/files/crds"
  cp -r "$OUT/base" "$ROOT/config/base"
fi
