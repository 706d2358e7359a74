// What does a start do to the signal and to the gradient of a deep network? Every layer of a random network is computed
// and drawn beside what theory predicts: the mean square maps of notebooks 05 and 06, by quadrature if need be.
//
// Unusual here: every layer is square, so LeCun's and Xavier's rules are one; weights keep unit variance and a network
// carries their scale, so that a new gain needs no new draw; the work is a generator, cut to the length of a frame.

export const BATCH = 32;
export const LEAKY_SLOPE = 0.01; // torch's default
const DECADES = 20; // what the axis can show: 1e-20 to 1e+20
const FLAT = 0.0707; // tanh'(2): below this share of the largest slope a unit counts as flat (course_utils.probes)
const SLICE = 200_000; // multiplications between two looks at the clock, about a third of a millisecond
const BUDGET = 5; // milliseconds of a frame that computing may take; drawing needs about two more

// ---------------------------------------------------------------------------------------------------- random numbers

// Philox2x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): ten rounds of a
// 32 x 32 bit product, from a counter (low, high) and a key. Any number of any stream can be had without the others.
export function philox(low, high, key) {
  for (let round = 0; round < 10; round += 1) {
    const top = highProduct(0xd256d193, low);
    [low, high] = [(top ^ key ^ high) >>> 0, Math.imul(0xd256d193, low) >>> 0];
    key = (key + 0x9e3779b9) >>> 0;
  }
  return [low, high];
}

// The upper 32 bits of a product, from halves of 16 bits: a double holds only 53.
function highProduct(a, b) {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle % 0x10000);
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
}

// Two numbers of mean 0 and variance 1: normal by Box and Muller (1958), or uniform on (-sqrt 3, sqrt 3).
function pair(index, stream, seed, kind) {
  const [a, b] = philox(index, stream, seed);
  const [u, v] = [(a + 0.5) / 2 ** 32, (b + 0.5) / 2 ** 32]; // the half keeps 0 out of the logarithm
  if (kind === "uniform") return [Math.sqrt(12) * (u - 0.5), Math.sqrt(12) * (v - 0.5)];
  const radius = Math.sqrt(-2 * Math.log(u));
  return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
}

function* filling(values, seed, stream, kind) {
  for (let i = 0; i < values.length; i += 2) {
    const [first, second] = pair(i / 2, stream, seed, kind);
    values[i] = first;
    if (i + 1 < values.length) values[i + 1] = second;
    if (i % 2048 === 2046) yield;
  }
  return values;
}

// Values of mean 0 and variance 1: the same seed and stream give the same numbers on every machine.
export function draw(length, seed, stream, kind = "normal") {
  return finish(filling(new Float64Array(length), seed, stream, kind));
}

const INPUTS = 0, TOP = 1, WEIGHTS = 2, BIASES = 1002; // streams; layer l of the weights has WEIGHTS + l

// ------------------------------------------------------------------------------------------- activations and starts

// torch's 5/3 for tanh is a fit and its 1 for the sigmoid a convention (notebook 06, section 6). GELU has no gain in
// torch, so it gets ReLU's, as it does in practice.
export const GAIN = {
  identity: 1, sigmoid: 1, tanh: 5 / 3, relu: Math.SQRT2, leaky_relu: Math.sqrt(2 / (1 + LEAKY_SLOPE ** 2)),
  gelu: Math.SQRT2,
};

// value(z), slope(z, value) and the largest slope.
export const ACTIVATIONS = {
  identity: { label: "identity", value: (z) => z, slope: () => 1, steepest: 1 },
  sigmoid: { label: "sigmoid", value: (z) => 1 / (1 + Math.exp(-z)), slope: (z, h) => h * (1 - h), steepest: 0.25 },
  tanh: { label: "tanh", value: Math.tanh, slope: (z, h) => 1 - h * h, steepest: 1 },
  relu: { label: "ReLU", value: (z) => (z > 0 ? z : 0), slope: (z) => (z > 0 ? 1 : 0), steepest: 1 },
  leaky_relu: {
    label: "leaky ReLU", value: (z) => (z > 0 ? z : LEAKY_SLOPE * z), slope: (z) => (z > 0 ? 1 : LEAKY_SLOPE),
    steepest: 1,
  },
  gelu: {
    label: "GELU", value: (z) => z * normalCdf(z), steepest: 1.1289, // at z = sqrt 2
    slope: (z, h) => (z === 0 ? 0.5 : h / z) + (z * Math.exp(-z * z / 2)) / Math.sqrt(2 * Math.PI),
  },
};

// Near 0 the series Phi(z) - 1/2 = density(z) (z + z^3/3 + z^5/15 + ...), whose terms have one sign; farther out the
// continued fraction of the tail (Abramowitz and Stegun 1964, 26.2.11 and 26.2.14).
export function normalCdf(z) {
  const x = Math.abs(z), density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  if (density === 0) return z > 0 ? 1 : 0;
  if (x < 3) {
    let term = x, sum = x;
    for (let k = 3; term > 1e-17 * sum; k += 2) sum += term *= (x * x) / k;
    return 0.5 + Math.sign(z) * density * sum;
  }
  let rest = x;
  for (let k = 60; k >= 1; k -= 1) rest = x + k / rest; // 60 levels: 1e-16 at x = 3, fewer would do farther out
  return z > 0 ? 1 - density / rest : density / rest;
}

// A start as a law for square layers: std of the weights = gain / sqrt(width), std of the biases, and the distribution.
export function law({ start = "gain", activation, gain, width }) {
  const gains = {
    gain, lecun: 1, xavier: 1, he: GAIN[activation], "std 0.01": 0.01 * Math.sqrt(width), torch: Math.sqrt(1 / 3),
  };
  const torch = start === "torch"; // U(-1/sqrt n, 1/sqrt n), weights and biases: variance 1/(3n)
  return { gain: gains[start], bias: torch ? Math.sqrt(1 / (3 * width)) : 0, kind: torch ? "uniform" : "normal" };
}

// --------------------------------------------------------------------------------------------------------- the network

// `depth` square layers without their numbers: weights of unit variance are drawn layer by layer, when they are needed.
function* building({ depth, width, seed, activation, gain, start }, known = null) {
  const { gain: factor, bias, kind } = law({ start, activation, gain, width });
  const reusable = known?.width === width && known.seed === seed && known.kind === kind;
  const network = reusable ? known : { width, seed, kind, weights: [], shifts: [] };
  for (let l = network.weights.length; l < depth; l += 1) {
    const weight = yield* filling(new Float64Array(width * width), seed, WEIGHTS + l, kind);
    network.shifts.push(yield* filling(new Float64Array(width), seed, BIASES + l, kind));
    network.weights.push(weight);
  }
  return Object.assign(network, { depth, scale: factor / Math.sqrt(width), bias });
}

// A random network: z = scale * W h + bias * b, with W and b of unit variance.
export function makeNetwork(options) {
  return finish(building(options));
}

function makeRoom(depth, width, batch) {
  const layers = () => Array.from({ length: depth }, () => new Float64Array(width * batch));
  return { preactivations: layers(), outputs: layers(), slopes: layers(), outputGradients: layers(),
    gradients: layers() };
}

// z = scale * W h + bias * b for the units first to last; four examples at once, so that a weight is read once for all.
function forwardBlock(weight, shift, h, z, { width, scale, bias }, first, last) {
  const batch = h.length / width, whole = batch - (batch % 4);
  for (let o = first; o < last; o += 1) {
    const row = o * width, extra = shift ? bias * shift[o] : 0;
    for (let b = 0; b < whole; b += 4) {
      const h0 = b * width, h1 = h0 + width, h2 = h1 + width, h3 = h2 + width;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let i = 0; i < width; i += 1) {
        const w = weight[row + i];
        s0 += w * h[h0 + i]; s1 += w * h[h1 + i]; s2 += w * h[h2 + i]; s3 += w * h[h3 + i];
      }
      z[h0 + o] = scale * s0 + extra; z[h1 + o] = scale * s1 + extra;
      z[h2 + o] = scale * s2 + extra; z[h3 + o] = scale * s3 + extra;
    }
    for (let b = whole; b < batch; b += 1) {
      let sum = 0;
      for (let i = 0; i < width; i += 1) sum += weight[row + i] * h[b * width + i];
      z[b * width + o] = scale * sum + extra;
    }
  }
}

// scale * W^T dz for the examples first to last; four rows of W at once, so that a sum is read once for them.
function backwardBlock(weight, dz, dh, { width, scale }, first, last) {
  const whole = width - (width % 4);
  dh.fill(0, first * width, last * width);
  for (let b = first * width; b < last * width; b += width) {
    for (let o = 0; o < whole; o += 4) {
      const w0 = o * width, w1 = w0 + width, w2 = w1 + width, w3 = w2 + width;
      const d0 = scale * dz[b + o], d1 = scale * dz[b + o + 1];
      const d2 = scale * dz[b + o + 2], d3 = scale * dz[b + o + 3];
      for (let i = 0; i < width; i += 1) {
        dh[b + i] += d0 * weight[w0 + i] + d1 * weight[w1 + i] + d2 * weight[w2 + i] + d3 * weight[w3 + i];
      }
    }
    for (let o = whole; o < width; o += 1) {
      for (let i = 0; i < width; i += 1) dh[b + i] += scale * dz[b + o] * weight[o * width + i];
    }
  }
}

// Both passes in slices. Yields {pass, layer} when a layer is done and null in between.
function* passing(network, inputs, top, activation, room) {
  const { depth, width } = network, batch = inputs.length / width;
  const { value, slope } = ACTIVATIONS[activation];
  for (let l = 0; l < depth; l += 1) {
    const z = room.preactivations[l], h = room.outputs[l], below = l ? room.outputs[l - 1] : inputs;
    const size = Math.max(1, Math.floor(SLICE / below.length));
    for (let o = 0; o < width; o += size) {
      forwardBlock(network.weights[l], network.shifts[l], below, z, network, o, Math.min(width, o + size));
      yield null;
    }
    for (let i = 0; i < z.length; i += 1) room.slopes[l][i] = slope(z[i], (h[i] = value(z[i])));
    yield { pass: "forward", layer: l };
  }
  for (let l = depth - 1; l >= 0; l -= 1) {
    const dh = room.outputGradients[l], size = Math.max(1, Math.floor(SLICE / (width * width)));
    if (l === depth - 1) dh.set(top);
    for (let b = 0; b < batch && l < depth - 1; b += size) {
      backwardBlock(network.weights[l + 1], room.gradients[l + 1], dh, network, b, Math.min(batch, b + size));
      yield null;
    }
    for (let i = 0; i < dh.length; i += 1) room.gradients[l][i] = dh[i] * room.slopes[l][i];
    yield { pass: "backward", layer: l };
  }
  return room;
}

// Every signal of every layer. `network` has depth, width, scale, bias, weights[l] (row = unit) and shifts[l]; `inputs`
// and `top`, the gradient of the loss with respect to the last output, are [batch x width], row by row.
export function propagate(network, inputs, activation, top) {
  const room = makeRoom(network.depth, network.width, inputs.length / network.width);
  return finish(passing(network, inputs, top, activation, room));
}

function finish(work) {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

// -------------------------------------------------------------------------------------------------- what is predicted

// What a layer does when z is normal with mean square q. signal = E[phi(z)^2] and flow = E[phi'(z)^2]; how much their
// means over n units differ between draws, as n times the relative variance (the flow's with the square of a normal
// gradient in it); elasticity = d ln signal / d ln q.
export function moments(activation, q) {
  const [a, b] = { identity: [1, 1], relu: [1, 0], leaky_relu: [1, LEAKY_SLOPE] }[activation] ?? [];
  if (a === undefined) return quadrature(ACTIVATIONS[activation], Math.sqrt(q));
  const flow = (a ** 2 + b ** 2) / 2, spread = (1.5 * (a ** 4 + b ** 4)) / flow ** 2 - 1; // slope a above 0, b below
  return { signal: flow * q, flow, signalSpread: spread, flowSpread: spread, elasticity: 1 };
}

// The trapezoidal rule on xi = w sinh(t), z = std * xi. The points lie densest within w of 0, where an activation bends
// once std is large, and the integrand falls off so fast that the rule converges exponentially.
function quadrature({ value, slope }, std, points = 200) {
  const w = 1 / (1 + std), step = (2 * Math.asinh(9 / w)) / points;
  let mass = 0, u2 = 0, u4 = 0, d2 = 0, d4 = 0, mixed = 0;
  for (let k = 0; k <= points; k += 1) {
    const xi = w * Math.sinh((k - points / 2) * step), z = std * xi, h = value(z), d = slope(z, h);
    const share = Math.exp(-xi * xi / 2) * Math.sqrt(xi * xi + w * w); // the density times d xi / dt
    const u = (h / std) ** 2, v = d * d; // in units of std, or the fourth power of a faded signal would be 0
    mass += share;
    u2 += share * u;
    u4 += share * u * u;
    d2 += share * v;
    d4 += share * v * v;
    mixed += share * xi * (h / std) * d;
  }
  return { signal: (std * std * u2) / mass, flow: d2 / mass, signalSpread: (u4 * mass) / u2 ** 2 - 1,
    flowSpread: (3 * d4 * mass) / d2 ** 2 - 1, elasticity: mixed / u2 };
}

// The root mean square of every layer's preactivation, output and gradient with respect to the preactivation, for
// inputs and a top gradient of mean square 1. For endless width (notebook 05, eqs. 5.10 and 5.19; for the gradient
// Schoenholz et al. 2017, arXiv:1611.01232, eq. 9):
//   q_l = g^2 m_{l-1} + b^2,  m_l = E[phi(z)^2],  d_l = E[phi'(z)^2] g^2 d_{l+1},  z ~ N(0, q_l)
// In layers of n units, `low` and `high` hold 95 % of draws of one input: each layer multiplies by a mean of n random
// numbers, so logarithms add up terms of variance s/n and mean -s/(2n), to first order in 1/n.
export function predictedRms(options) {
  const { depth, width } = options, { gain, bias } = law(options);
  const names = ["preactivation", "output", "gradient"], layers = () => new Float64Array(depth);
  const found = Object.fromEntries(names.map((name) => [name, { wide: layers(), low: layers(), high: layers() }]));
  const set = (name, l, square, { mean, variance }) => {
    const [column, root] = [found[name], Math.sqrt(square)];
    column.wide[l] = root;
    column.low[l] = root * Math.exp((mean - 1.96 * Math.sqrt(variance)) / 2);
    column.high[l] = root * Math.exp((mean + 1.96 * Math.sqrt(variance)) / 2);
  };
  // `factor`: how much of the logarithm's deviation a layer hands on; `s`: the relative variance of what it averages
  const through = ({ mean, variance }, factor, s) =>
    ({ mean: factor * mean - s / (2 * width), variance: factor ** 2 * variance + s / width });
  const flows = [];
  for (let l = 0, signal = 1, q = NaN, m = null, spread = { mean: 0, variance: 0 }; l < depth; l += 1) {
    const next = gain * gain * signal + bias * bias, share = 1 - (bias * bias) / next;
    if (next !== q) m = moments(options.activation, (q = next)); // a fixed point needs no second quadrature
    set("preactivation", l, q, through(spread, share, 2));
    spread = through(spread, share * m.elasticity, m.signalSpread);
    set("output", l, (signal = m.signal), spread);
    flows.push(m);
  }
  for (let l = depth - 1, flow = 1, spread = { mean: 0, variance: 0 }; l >= 0; l -= 1) {
    flow *= flows[l].flow;
    spread = through(spread, 1, flows[l].flowSpread);
    set("gradient", l, flow, spread);
    flow *= gain * gain;
  }
  return found;
}

// -------------------------------------------------------------------------------------------------- what is measured

export function rms(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i] * values[i];
  return Math.sqrt(sum / values.length);
}

// The shares of flat slopes and of units that are flat for every example of the batch.
export function flatness(slopes, width, activation) {
  const limit = FLAT * ACTIVATIONS[activation].steepest, alive = new Uint8Array(width);
  let flat = 0;
  for (let i = 0; i < slopes.length; i += 1) {
    if (Math.abs(slopes[i]) < limit) flat += 1;
    else alive[i % width] = 1;
  }
  return { flat: flat / slopes.length, dead: 1 - alive.reduce((sum, one) => sum + one, 0) / width };
}

const BINS = 31; // odd, so that the middle bin is centred on zero

// Shares in equal bins on [low, high]; what lies outside is left out.
function histogram(values, [low, high]) {
  const counts = new Float64Array(BINS), factor = BINS / (high - low);
  for (let i = 0; i < values.length; i += 1) {
    const bin = Math.floor((values[i] - low) * factor);
    if (bin >= 0 && bin < BINS) counts[bin] += 1 / values.length;
    else if (values[i] === high) counts[BINS - 1] += 1 / values.length;
  }
  return { counts, low, high };
}

// Four standard deviations, or less where nothing lies so far out. A sigmoid's outputs are shown on (0, 1).
function spanOf(values, root, positive) {
  let largest = 0;
  for (let i = 0; i < values.length; i += 1) largest = Math.max(largest, Math.abs(values[i]));
  const limit = Math.min(4 * root, 1.05 * largest) || 1;
  return positive ? [0, 1] : [-limit, limit];
}

// What the figure shows. What was shown before stays, pale, until the next run replaces it, layer by layer.
function nextView({ depth, width, activation }, before) {
  const column = () => new Float64Array(depth).fill(NaN);
  const view = { depth, width, activation, forwardDone: 0, backwardDone: 0, histograms: before?.histograms ?? new Map(),
    preactivation: column(), output: column(), gradient: column(), flat: column(), dead: column() };
  const common = Math.min(depth, before?.depth ?? 0);
  for (const name of common ? ["preactivation", "output", "flat", "dead"] : []) {
    view[name].set(before[name].subarray(0, common));
  }
  if (common) view.gradient.set(before.gradient.subarray(before.depth - common), depth - common); // from the top on
  return view;
}

// Run both passes on the options and note what each layer shows.
function* measuring(options, view, memory) {
  const { depth, width, activation, seed } = options;
  const network = (memory.network = yield* building(options, memory.network));
  const [inputs, top] = [draw(BATCH * width, seed, INPUTS), draw(BATCH * width, seed, TOP)];
  if (memory.room?.outputs.length !== depth || memory.room.outputs[0].length !== inputs.length) {
    memory.room = makeRoom(depth, width, BATCH);
  }
  Object.assign(view, { forwardDone: 0, backwardDone: 0 });
  for (const step of passing(network, inputs, top, activation, memory.room)) {
    if (step) note(view, step, memory.room);
    yield;
  }
}

function note(view, { pass, layer }, room) {
  const shown = view.histograms.get(layer) ?? {};
  const count = (values, root, positive) => histogram(values, spanOf(values, root, positive));
  if (pass === "forward") {
    const [z, h] = [room.preactivations[layer], room.outputs[layer]];
    [view.preactivation[layer], view.output[layer]] = [rms(z), rms(h)];
    ({ flat: view.flat[layer], dead: view.dead[layer] } = flatness(room.slopes[layer], view.width, view.activation));
    shown.preactivation = count(z, view.preactivation[layer]);
    shown.output = count(h, view.output[layer], view.activation === "sigmoid");
    view.forwardDone = layer + 1;
  } else {
    view.gradient[layer] = rms(room.gradients[layer]);
    shown.gradient = count(room.gradients[layer], view.gradient[layer]);
    view.backwardDone = view.depth - layer;
  }
  view.histograms.set(layer, shown);
}

// -------------------------------------------------------------------------------------------------------------- words

const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function power(exponent) {
  if (Math.abs(exponent) <= 1) return ["0.1", "1", "10"][exponent + 1];
  return `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((digit) => DIGITS[digit]).join("")}`;
}

// 0.021 and 21, but 2.1e-7 where zeros would have to be counted.
export function inWords(value) {
  if (value === 0) return "exactly 0";
  return value >= 0.01 && value < 1000 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}

function verdict(value) {
  if (value < 1e-3) return "vanishing";
  if (value < 0.1) return "fading";
  if (value <= 10) return "kept";
  return value <= 1e3 ? "growing" : "exploding";
}

// The outcome of a run in two sentences; both passes begin at a root mean square of 1.
function outcome(view, predicted) {
  const last = view.depth - 1, percent = (share) => `${Math.round(100 * share)} %`;
  const sentence = (name, value, expected, where) =>
    `${name}: root mean square ${inWords(value)} at layer ${where} (predicted ${inWords(expected)}), ` +
    `${inWords(value ** (1 / view.depth))} times per layer: ${verdict(value)}.`;
  return [
    sentence("Signal", view.output[last], predicted.output.wide[last], view.depth),
    sentence("Gradient", view.gradient[0], predicted.gradient.wide[0], 1),
    `Flat slopes in the last layer: ${percent(view.flat[last])}; ` +
      `units flat for all inputs: ${percent(view.dead[last])}.`,
  ].join(" ");
}

// ------------------------------------------------------------------------------------------------------------ drawing

// Where everything stands, in CSS pixels: two charts with a strip below each, and histograms of a few layers.
function layOut(width, depth) {
  const wide = width >= 860, half = width >= 560;
  const share = wide ? 0.31 * width : half ? (width - 16) / 2 : width;
  const tall = wide ? 250 : half ? 190 : 150, block = tall + 116;
  const chart = (x, y) => ({ x: x + 44, y: y + 24, w: share - 52, h: tall });
  const strip = ({ x, y, w, h }) => ({ x, y: y + h + 24, w, h: 34 });
  const forward = chart(0, 0), backward = half ? chart(share + 16, 0) : chart(0, block);
  const left = wide ? 2 * share + 44 : 8, top = wide ? 0 : half ? block + 6 : 2 * block + 6;
  const columns = Math.min(depth, wide || width < 420 ? 3 : half ? 5 : 4), rowHeight = wide ? 116 : 98;
  const cell = (width - left - 4 - 12 * (columns - 1)) / columns;
  const layers = Array.from({ length: columns }, (_, k) => Math.round((k * (depth - 1)) / Math.max(1, columns - 1)));
  const cells = [0, 1, 2].map((row) =>
    layers.map((_, k) => ({ x: left + k * (cell + 12), y: top + 40 + row * rowHeight, w: cell, h: rowHeight - 42 })));
  return { forward, backward, flat: strip(forward), dead: strip(backward), cells, layers, left, top, wide,
    height: wide ? block : top + 3 * rowHeight + 18 };
}

const LIMITS = [[1, 1], [2, 1], [5, 5], [10, 5], [DECADES, 10]]; // decades above and below 1, and between ticks
const HALF = [[65504, "largest float16"], [2 ** -24, "smallest float16"]];

// The least limit that holds every finite number, up to 20 decades.
function limitOf(...columns) {
  const far = columns.flatMap((column) => [...column]).filter((v) => v > 0 && Number.isFinite(v))
    .reduce((most, v) => Math.max(most, Math.abs(Math.log10(v))), 0);
  return LIMITS.find(([decades]) => decades >= far) ?? LIMITS.at(-1);
}

class Pen {
  constructor(canvas, colors) {
    Object.assign(this, { canvas, colors, context: canvas.getContext("2d") });
  }

  begin(width, height) {
    const ratio = globalThis.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      [this.canvas.width, this.canvas.height] = [w, h];
      this.canvas.style.height = `${height}px`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
  }

  text(words, x, y, { align = "left", color = "soft", size = 12, weight = "" } = {}) {
    const { context } = this;
    context.font = `${weight} ${size}px ${this.family}`;
    context.textAlign = align;
    context.fillStyle = this.colors[color];
    context.fillText(words, x, y);
  }

  line(points, color, { width = 1, dash = [] } = {}) {
    const { context } = this;
    context.beginPath();
    points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    Object.assign(context, { strokeStyle: this.colors[color], lineWidth: width });
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
  }

  area(points, color, strength) {
    const { context } = this;
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    Object.assign(context, { fillStyle: this.colors[color], globalAlpha: strength });
    context.fill();
    context.globalAlpha = 1;
  }

  within({ x, y, w, h }, work) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, w, h);
    this.context.clip();
    work();
    this.context.restore();
  }

  // A disc, a ring around it, a triangle, or an arrow head that points out of the chart, up or down.
  mark(shape, x, y, radius, color, strength) {
    const { context } = this, tip = { up: -1.5, down: 1.5, triangle: -1.3 }[shape];
    context.beginPath();
    if (shape === "ring") context.arc(x, y, radius + 0.9, 0, 2 * Math.PI);
    else if (shape === "disc") context.arc(x, y, radius, 0, 2 * Math.PI);
    else {
      context.moveTo(x, y + tip * radius);
      for (const side of [-1, 1]) context.lineTo(x + side * 1.2 * radius, y - 0.6 * tip * radius);
      context.closePath();
    }
    const look = { fillStyle: this.colors[color], strokeStyle: this.colors[color], lineWidth: 1.4 };
    Object.assign(context, look, { globalAlpha: strength });
    if (shape === "ring") context.stroke();
    else context.fill();
    context.globalAlpha = 1;
  }
}

// One chart: series are {values, predicted, color, shape, isNew(layer)}; `limit` is the end of its axis in decades.
function drawChart(pen, box, title, [limit, between], series) {
  const depth = series[0].values.length, column = box.w / depth, radius = Math.min(3.2, Math.max(1.8, 0.34 * column));
  const across = (l) => box.x + (l + 0.5) * column;
  const height = (v) => box.y + (box.h / 2) * (1 - Math.max(-4, Math.min(4, Math.log10(v) / limit)));
  pen.text(title, box.x, box.y - 10, { color: "ink", size: 13, weight: "600" });
  for (let tick = -Math.floor(limit / between) * between; tick <= limit; tick += between) {
    const y = Math.round(height(10 ** tick)) + 0.5;
    pen.line([[box.x, y], [box.x + box.w, y]], tick === 0 ? "soft" : "line", { dash: tick === 0 ? [5, 4] : [] });
    pen.text(power(tick), box.x - 6, y + 4, { align: "right" });
  }
  if (limit > 5) drawHalf(pen, box, height, series[0].predicted);
  pen.within(box, () => series.forEach(({ predicted, color, shape }) => { // one band of two that nearly coincide
    const trace = (column) => [...column].map((v, l) => [across(l), height(v)]);
    if (shape !== "disc") pen.area([...trace(predicted.high), ...trace(predicted.low).reverse()], color, 0.16);
    pen.line(trace(predicted.wide), "ink", { width: 1.2 });
  }));
  for (const { values, color, shape, isNew } of series) {
    values.forEach((v, l) => {
      if (Number.isNaN(v)) return;
      const beyond = Math.abs(Math.log10(v)) > limit, y = Math.max(box.y, Math.min(box.y + box.h, height(v)));
      pen.mark(beyond ? (v > 1 ? "up" : "down") : shape, across(l), y, radius, color, isNew(l) ? 1 : 0.5);
    });
  }
  drawBeyond(pen, box, limit, series, across);
}

// Where half precision ends, so that a power of ten means something; written at the end that is farther from the line.
function drawHalf(pen, box, height, { wide }) {
  const far = (at, value) => Math.abs(height(at) - height(value));
  for (const [value, words] of HALF) {
    const atRight = far(wide.at(-1), value) > far(wide[0], value);
    pen.line([[box.x, height(value)], [box.x + box.w, height(value)]], "soft", { dash: [1.5, 3] });
    pen.text(words, atRight ? box.x + box.w - 2 : box.x + 2, height(value) - 4,
      { size: 11, align: atRight ? "right" : "left" });
  }
}

// The arrow heads at the ends of the axis, in words, where most of them stand.
function drawBeyond(pen, box, limit, series, across) {
  const say = (isBeyond, words, y) => {
    const places = series.flatMap(({ values }) => [...values.keys()].filter((l) => isBeyond(values[l])).map(across));
    if (!places.length) return;
    const middle = places.reduce((sum, x) => sum + x, 0) / places.length;
    const x = Math.max(box.x + 42, Math.min(box.x + box.w - 42, middle));
    pen.text(words, x, y, { align: "center", size: 11 });
  };
  say((v) => v > 10 ** limit, `▲ above ${power(limit)}`, box.y + 17);
  say((v) => v < 10 ** -limit, `▼ below ${power(-limit)}`, box.y + box.h - 9);
}

// Shares per layer as bars from 0 to 1, with the axis of layers that the chart above shares.
function drawStrip(pen, box, title, shares) {
  const depth = shares.length, column = box.w / depth, step = depth <= 10 ? 1 : 5;
  pen.text(title, box.x, box.y - 6, { size: 12 });
  pen.text("100 %", box.x - 6, box.y + 9, { align: "right", size: 11 });
  pen.text("0", box.x - 6, box.y + box.h, { align: "right", size: 11 });
  pen.context.fillStyle = pen.colors.soft;
  shares.forEach((share, l) => {
    const tall = Number.isNaN(share) ? 0 : share * box.h;
    pen.context.fillRect(box.x + (l + 0.15) * column, box.y + box.h - tall, 0.7 * column, tall);
  });
  for (const y of [box.y + 0.5, box.y + box.h + 0.5]) pen.line([[box.x, y], [box.x + box.w, y]], "line");
  for (let l = step === 1 ? 1 : step; l <= depth; l += step) {
    pen.text(String(l), box.x + (l - 0.5) * column, box.y + box.h + 15, { align: "center" });
  }
  if (step > 1) pen.text("1", box.x + 0.5 * column, box.y + box.h + 15, { align: "center" });
  pen.text("layer", box.x + box.w / 2, box.y + box.h + 30, { align: "center" });
}

// A small histogram. The bar at zero may be far taller than the rest: then it is cut, and its share written beside it.
function drawHistogram(pen, box, { counts, low, high }, color, std = null) {
  const centre = low < 0 ? (BINS - 1) / 2 : -1, column = box.w / BINS;
  const others = counts.reduce((most, share, k) => (k === centre ? most : Math.max(most, share)), 0);
  const cut = others > 0 && counts[centre] > 3 * others, top = cut ? 2 * others : Math.max(others, counts[centre] ?? 0);
  pen.context.fillStyle = pen.colors[color];
  counts.forEach((share, k) => {
    const tall = Math.min(1, share / (1.1 * top)) * box.h;
    pen.context.fillRect(box.x + k * column, box.y + box.h - tall, Math.max(1, column - 0.6), tall);
  });
  if (cut) {
    pen.text(`${Math.round(100 * counts[centre])} % at 0`, box.x + box.w / 2 - column, box.y + 10,
      { align: "right", size: 11 });
  }
  if (std !== null && std > (high - low) / 400) drawDensity(pen, box, low, high, std, 1.1 * top); // else a spike
  pen.line([[box.x, box.y + box.h + 0.5], [box.x + box.w, box.y + box.h + 0.5]], "soft");
  const edge = low < 0 ? `± ${inWords(high)}` : "0 to 1";
  pen.text(edge, box.x + box.w / 2, box.y + box.h + 14, { align: "center", size: 11 });
}

function drawDensity(pen, box, low, high, std, top) {
  const scale = (high - low) / BINS / (std * Math.sqrt(2 * Math.PI)), points = [];
  for (let k = 0; k <= 60; k += 1) {
    const v = low + (k * (high - low)) / 60, share = scale * Math.exp(-((v / std) ** 2) / 2) / top;
    points.push([box.x + (k * box.w) / 60, box.y + box.h * (1 - share)]);
  }
  pen.within({ ...box, y: box.y - 6, h: box.h + 6 }, () => pen.line(points, "ink", { width: 1.2 }));
}

const ROWS = [["preactivation", "preactivations"], ["output", "outputs"], ["gradient", "gradients"]];

// `current`: the run that is shown is that of the state the prediction is for; what is not is drawn pale.
function drawFigure(pen, width, view, predicted, current) {
  const place = layOut(width, view.depth), fresh = (l) => current && l < view.forwardDone;
  const part = (name, shape, isNew) =>
    ({ values: view[name], predicted: predicted[name], color: name, shape, isNew });
  const limit = limitOf(...ROWS.flatMap(([name]) => [view[name], predicted[name].wide]));
  pen.begin(width, place.height);
  drawChart(pen, place.forward, "Signal, forward: rms", limit,
    [part("preactivation", "disc", fresh), part("output", "ring", fresh)]);
  drawChart(pen, place.backward, "Gradient, backward: rms", limit,
    [part("gradient", "triangle", (l) => current && view.depth - l <= view.backwardDone)]);
  drawStrip(pen, place.flat, "flat slopes", view.flat);
  drawStrip(pen, place.dead, `units flat for all ${BATCH} inputs`, view.dead);
  ROWS.forEach(([name, title], row) => {
    const first = place.cells[row][0];
    pen.text(title, first.x, first.y - 8, { color: "ink" });
    place.layers.forEach((layer, k) => {
      const box = place.cells[row][k], counted = view.histograms.get(layer)?.[name];
      const middle = { align: "center", color: "ink", size: 13, weight: "600" };
      if (row === 0) pen.text(`layer ${layer + 1}`, box.x + box.w / 2, place.top + 14, middle);
      if (counted) drawHistogram(pen, box, counted, name, row === 0 ? predicted.preactivation.wide[layer] : null);
    });
  });
}

// ----------------------------------------------------------------------------------------------------------- the page

const STARTS = {
  gain: "by the gain", lecun: "LeCun", xavier: "Xavier (as LeCun here)", he: "He (gain by activation)",
  "std 0.01": "constant std 0.01",
  torch: "nn.Linear’s default",
};
const ABOUT = "Signal and gradient in every layer, measured and predicted.";
const NAMES = ["depth", "width", "activation", "gain", "start", "seed"];
const LOWEST = 0.02, HIGHEST = 4; // of the gain; as in _initialization.py

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

function choice(label, options) {
  const items = Object.entries(options).map(([value, words]) => element("option", { value }, words));
  const input = element("select", {}, ...items);
  return { input, label: element("label", {}, label, input) };
}

function slider(label, min, max, step) {
  const input = element("input", { type: "range", min, max, step });
  const value = element("span", { className: "pg-value", ariaHidden: "true" }); // the slider itself says these words
  const say = (words) => { value.textContent = words; input.setAttribute("aria-valuetext", words); };
  return { input, say, label: element("label", {}, label, value, input) };
}

// A piece of the legend: the mark as it is drawn in the charts, and what it stands for.
function legendItem(mark, words) {
  const item = element("span", { className: "pg-key" });
  item.innerHTML = `<svg viewBox="0 0 30 10" aria-hidden="true">${mark}</svg>`;
  item.append(words);
  return item;
}

function makeLegend() {
  return element("div", { className: "pg-legend" },
    legendItem('<circle cx="15" cy="5" r="3.5" fill="var(--pg-preactivation)"/>', "preactivation z = Wh + b"),
    legendItem('<circle cx="15" cy="5" r="3.3" fill="none" stroke="var(--pg-output)" stroke-width="1.6"/>',
      "output h = φ(z)"),
    legendItem('<path d="M15 0.5l4 8h-8z" fill="var(--pg-gradient)"/>', "gradient ∂L/∂z"),
    legendItem('<path d="M2 5h26" stroke="var(--pg-ink)" stroke-width="1.4"/>', "predicted for endless width"),
    legendItem('<path d="M2 0h26v10h-26z" fill="var(--pg-soft)" opacity="0.3"/>', "about 95 % of draws at this width"));
}

function build(el) {
  const labels = Object.fromEntries(Object.entries(ACTIVATIONS).map(([name, { label }]) => [name, label]));
  const parts = {
    start: choice("Start", STARTS), activation: choice("Activation", labels),
    gain: slider("Gain", Math.log10(LOWEST).toFixed(2), Math.log10(HIGHEST).toFixed(2), 0.01),
    depth: slider("Depth", 2, 50, 1), width: slider("Width", 8, 256, 8),
    button: element("button", { type: "button" }, "New draw"), seed: element("span", { className: "pg-value" }),
    canvas: element("canvas", { className: "pg-figure" }), readout: element("p", { className: "pg-readout" }),
  };
  parts.canvas.setAttribute("role", "img");
  parts.canvas.setAttribute("aria-label", ABOUT); // until there is an outcome to tell
  parts.readout.setAttribute("aria-live", "polite");
  const controls = element("div", { className: "pg-controls" },
    ...["start", "activation", "gain", "depth", "width"].map((name) => parts[name].label),
    element("div", { className: "pg-player" }, parts.button, parts.seed));
  el.classList.add("playground");
  const sheet = element("div", { className: "pg-sheet pg-single" },
    controls, parts.canvas, makeLegend(), parts.readout);
  sheet.dataset.lmSuppressShortcuts = "true"; // arrow keys are the sliders', not JupyterLab's
  el.replaceChildren(sheet);
  return parts;
}

function showState(parts, state) {
  const { gain } = law(state), std = (gain / Math.sqrt(state.width)).toPrecision(2);
  for (const name of ["start", "activation", "depth", "width"]) parts[name].input.value = state[name];
  parts.gain.input.value = Math.log10(gain);
  parts.gain.say(`${Number(gain.toPrecision(3))} (std ${Number(std)})`);
  parts.depth.say(`${state.depth} layers`);
  parts.width.say(`${state.width} units`);
  parts.seed.textContent = `draw ${state.seed}`;
}

function listen(parts, model, signal) {
  const change = (values, save) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    if (save) model.save_changes();
  };
  const gain = () => Math.min(HIGHEST, Math.max(LOWEST, Number((10 ** Number(parts.gain.input.value)).toPrecision(3))));
  const read = {
    start: () => ({ start: parts.start.input.value }), activation: () => ({ activation: parts.activation.input.value }),
    gain: () => ({ start: "gain", gain: gain() }),
    depth: () => ({ depth: Number(parts.depth.input.value) }),
    width: () => ({ width: Number(parts.width.input.value) }),
  };
  for (const [name, values] of Object.entries(read)) { // a drag is drawn while it lasts; Python hears of its end
    parts[name].input.addEventListener("input", () => change(values(), false), { signal });
    parts[name].input.addEventListener("change", () => change(values(), true), { signal });
  }
  parts.button.addEventListener("click", () => change({ seed: (model.get("seed") + 1) % 2 ** 32 }, true), { signal });
}

// Colours belong to the style sheet; they are read again when the page changes its theme.
function readColors(el, pen) {
  const style = getComputedStyle(el);
  for (const name of ["ink", "soft", "paper", "line", "preactivation", "output", "gradient"]) {
    pen.colors[name] = style.getPropertyValue(`--pg-${name}`).trim();
  }
  pen.family = style.fontFamily;
}

function render({ model, el }) {
  const parts = build(el), pen = new Pen(parts.canvas, {}), memory = {}, ending = new AbortController();
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let state, view = null, predicted, job = null, stale = false, asked = 0, telling = 0;

  // Every frame: predict if the state is new, compute until the budget is used up, draw.
  function frame() {
    asked = 0;
    const end = performance.now() + BUDGET;
    if (stale) predicted = predictedRms(state);
    const sameShape = view && ["depth", "width", "activation"].every((name) => view[name] === state[name]);
    if (!sameShape) view = nextView(state, view);
    // A run of the same shape may end, or a long drag would never see one; of many new inputs the newest is next.
    if (stale && (!job || !sameShape)) [job, stale] = [measuring(state, view, memory), false];
    while (job && performance.now() < end) if (job.next().done) finished();
    const width = parts.canvas.clientWidth; // 0 on a slide that is not shown
    if (width > 0 && !(calm.matches && job)) drawFigure(pen, width, view, predicted, !stale);
    if (job || stale) ask();
  }

  function finished() {
    job = null;
    clearTimeout(telling);
    telling = setTimeout(() => tell(outcome(view, predicted)), 400); // a live region that never rests is no help
  }

  function tell(words) {
    parts.readout.textContent = words;
    parts.canvas.setAttribute("aria-label", `${ABOUT} ${words}`);
  }

  const ask = () => { asked ||= requestAnimationFrame(frame); };
  const refresh = () => {
    state = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    stale = true;
    showState(parts, state);
    ask();
  };
  const themed = new MutationObserver(() => { readColors(el, pen); ask(); });
  for (const node of [document.documentElement, document.body]) themed.observe(node, { attributes: true });
  const sized = new ResizeObserver(ask);
  sized.observe(el);
  NAMES.forEach((name) => model.on(`change:${name}`, refresh));
  listen(parts, model, ending.signal);
  readColors(el, pen);
  refresh();
  return () => {
    [themed, sized].forEach((observer) => observer.disconnect());
    NAMES.forEach((name) => model.off(`change:${name}`, refresh));
    ending.abort();
    cancelAnimationFrame(asked);
    clearTimeout(telling);
  };
}

export default { render };
