# SPDX-License-Identifier: Apache-2.0
"""report.py - what was measured: medians, spreads and ratios, for people and as JSON."""
import json
import statistics


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Report:
    def __init__(self, facts):
        self.facts = {}
        self.results = []
        for name, value in facts.items():
            self.fact(name, value)

    def fact(self, name, value):
        self.facts[name] = value
        print(f"{name}: {value}", flush=True)

    def compare(self, name, what, unit, samples, digits=2, ratio=True):
        """samples: {side: [value]}; ours is the first side, and the ratios are ours to each other's."""
        ours, *others = samples
        medians = {side: statistics.median(values) for side, values in samples.items()}
        ratios = {side: medians[ours] / medians[side] for side in others if ratio}
        told = ", ".join(f"{value:.3f} to {side}" for side, value in ratios.items())
        print(f"\n{name}: {'ratio ' + told + ': ' if told else ''}{what}; {len(samples[ours])} rounds, medians in {unit}, (10 %, 90 %)")
        for side, values in samples.items():
            spread = f"({percentile(values, 0.1):.{digits}f}, {percentile(values, 0.9):.{digits}f})"
            print(f"  {side:<12}{medians[side]:>10.{digits}f}  {spread}", flush=True)
        self.results.append({"name": name, "unit": unit, "medians": medians, "ratios": ratios, "samples": samples})

    def tell(self, name, sentence):
        print(f"\n{name}: {sentence}", flush=True)
        self.results.append({"name": name, "told": sentence})

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"facts": self.facts, "results": self.results}, file, indent=1)
            file.write("\n")
