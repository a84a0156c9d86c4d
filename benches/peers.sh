#!/usr/bin/env bash
# The peer job with the peers' own tools: their load generator (`lg`) against their floor and against this engine, in
# alternating pairs, the other side on core 0 and the client, which spins, on core 1.
#
#   benches/peers.sh                      # 6 pairs of 10 s at 10,000 events/s, blocking and spinning
#   PAIRS=3 SECS=30 RATES="1000 10000" IDLE=spin benches/peers.sh
#
# PEERS names the folder with the tools (default ../shared/measure/peers); they are built into target/peers. The other
# engines are run by that folder's own batch.sh. Every line of `lg` is printed as it came; the ratios of p50 and of the
# share over 1 ms follow. A command that is missing, doubled or that nobody expected fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
PEERS=${PEERS:-../shared/measure/peers} PAIRS=${PAIRS:-6} SECS=${SECS:-10} WARM=${WARM:-3} RATES=${RATES:-10000} IDLE=${IDLE:-"yield spin"}
OSMOSE=${OSMOSE:-target/release/osmose}
[ -f "$PEERS/lg/Cargo.toml" ] || { echo "no tools in $PEERS: set PEERS to the folder that holds lg/"; exit 2; }
[ -x "$OSMOSE" ] || { echo "no $OSMOSE: cargo build --release, or set OSMOSE"; exit 2; }
# Their sources may lie on a file system that nobody may write to.
mkdir -p target/peers && cp -r --no-preserve=mode "$PEERS/lg" target/peers/
CARGO_TARGET_DIR=target/peers/target cargo build --release --quiet --manifest-path target/peers/lg/Cargo.toml
BIN=target/peers/target/release
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) core(s), $(uname -r); load $(cut -d' ' -f1-3 /proc/loadavg)"
echo "hiccups of core 0 before: $("$BIN/hiccup" 0 2)"

work=$(mktemp -d)
pid=""
stop() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; pid=""; }; }
trap 'stop; rm -rf "$work"' EXIT

start() { # start floor|engine IDLE
  if [ "$1" = floor ]; then
    taskset -c 0 "$BIN/floor" $([ "$2" = spin ] && echo --spin) & pid=$!
    sleep 0.3
  else
    rm -rf "$work/site" && cp -r examples/peer-job "$work/site"
    sed -i "s/^\[engine\]/[engine]\nidle = \"$2\"/" "$work/site/site.toml"
    taskset -c 0 "$OSMOSE" run "$work/site" --state none --web none --quiet 2>"$work/engine.log" & pid=$!
    for _ in $(seq 100); do grep -q '^ready' "$work/engine.log" && break; sleep 0.1; done
    grep -q '^ready' "$work/engine.log" || { cat "$work/engine.log"; echo "the engine was not ready"; exit 1; }
  fi
}

for idle in $IDLE; do
  for rate in $RATES; do
    echo "== $rate events/s, idle $idle, $PAIRS pairs of $SECS s"
    : > "$work/lines"
    for pair in $(seq "$PAIRS"); do
      order="floor engine"; [ $((pair % 2)) = 1 ] || order="engine floor"
      for who in $order; do
        start "$who" "$idle"
        "$BIN/lg" udp --rate "$rate" --secs "$SECS" --warm "$WARM" --spin --cpu 1 --name "$who-$idle" | tee -a "$work/lines"
        stop
      done
    done
    # The n-th line of the floor and the n-th of the engine are a pair.
    awk -v idle="$idle" '
      function at(word,   i) { for (i = 1; i <= NF; i++) if ($i == word) return $(i + 1); return "" }
      function middle(a, n,   i, j, t) {
        for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
        return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
      }
      { if (at("got") != at("expected") || at("dup") + at("bogus") > 0) bad = bad "\n  " $0
        over = at("over1ms"); sub("%", "", over)
        if ($1 == "floor-" idle) { n1++; fp[n1] = at("p50"); fo[n1] = over } else { n2++; ep[n2] = at("p50"); eo[n2] = over } }
      END {
        for (i = 1; i <= n1 && i <= n2; i++) { p[i] = ep[i] / fp[i]; low = i == 1 || p[i] < low ? p[i] : low; high = i == 1 || p[i] > high ? p[i] : high
          if (fo[i] > 0) { m++; o[m] = eo[i] / fo[i]; olow = m == 1 || o[m] < olow ? o[m] : olow; ohigh = m == 1 || o[m] > ohigh ? o[m] : ohigh } }
        printf "p50 engine / floor, %s: median %.3f, pairs from %.3f to %.3f\n", idle, middle(p, n1 < n2 ? n1 : n2), low, high
        if (m) printf "share over 1 ms engine / floor, %s: median %.3f, pairs from %.3f to %.3f\n", idle, middle(o, m), olow, ohigh
        if (bad) { print "commands missing, doubled or not expected:" bad; exit 1 }
      }' "$work/lines"
  done
done
echo "hiccups of core 0 after: $("$BIN/hiccup" 0 2)"
