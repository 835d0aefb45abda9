/** The quantile `q` (0 to 1) of the numbers, interpolated. */
function quantile(numbers, q) {
  const sorted = Float64Array.from(numbers).sort();
  if (sorted.length === 0) {
    return null;
  }
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** Median, quartiles and the number of values; `null` without values. */
function summary(numbers) {
  const values = numbers.filter((value) => typeof value === 'number' && Number.isFinite(value));
  if (values.length === 0) {
    return null;
  }
  return {
    median: quantile(values, 0.5),
    q1: quantile(values, 0.25),
    q3: quantile(values, 0.75),
    n: values.length,
  };
}

module.exports = { quantile, summary };
