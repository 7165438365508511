// Meshes that are turned with the mouse, on any number of canvases. One hidden WebGL context draws them all, because
// browsers give a page only a handful, and copies each picture to its canvas. A mesh is unpacked when its canvas comes
// near the window (embedding.py has the packing half), and given up again when many others were looked at since.
"use strict";

const FOVY_DEG = 20, MOST_ELEVATION_DEG = 89, LOADED_AT_MOST = 12;
const DEGREE = Math.PI / 180;

const VERTEX = `#version 300 es
in vec3 position; in vec3 normal; in vec2 uv;
uniform mat4 matrix; uniform vec3 low, high;
out vec3 worldNormal; out vec2 at;
void main() {
  gl_Position = matrix * vec4(mix(low, high, position), 1.0);
  worldNormal = normal; at = uv;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 worldNormal; in vec2 at;
uniform sampler2D albedo; uniform bool clay; uniform vec3 eye;
out vec4 color;
void main() {
  vec3 n = normalize(worldNormal);
  if (!gl_FrontFacing) n = -n;
  float light = 0.30 + 0.45 * (0.5 + 0.5 * dot(n, eye)) + 0.25 * (0.5 + 0.5 * n.z);
  color = vec4(clay ? vec3(0.80, 0.78, 0.75) * light : texture(albedo, at).rgb, 1.0);
}`;

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The values of one column after another; see embedding.py.
function columnReader(bytes) {
  let start = 0;
  return (count, width) => {
    const values = new Int32Array(count), bits = 32 - 8 * width;
    let sum = 0;
    for (let row = 0; row < count; row++) {
      let zigzag = 0;
      for (let byte = 0; byte < width; byte++) zigzag |= bytes[start + byte * count + row] << (8 * byte);
      sum = ((sum + ((zigzag >>> 1) ^ -(zigzag & 1))) << bits) >>> bits;
      values[row] = sum;
    }
    start += count * width;
    return values;
  };
}

function interleaved(columns, Type, stride) {
  const result = new Type(columns[0].length * stride);
  columns.forEach((column, offset) => column.forEach((value, row) => { result[row * stride + offset] = value; }));
  return result;
}

class Painter {
  constructor() {
    this.canvas = document.createElement("canvas");
    const gl = this.gl = this.canvas.getContext("webgl2", { antialias: true, alpha: true });
    if (!gl) throw new Error("this browser has no WebGL 2");
    this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    ["position", "normal", "uv"].forEach((name, index) => gl.bindAttribLocation(this.program, index, name));
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(this.program));
    this.uniform = Object.fromEntries(
      ["matrix", "low", "high", "albedo", "clay", "eye"].map((name) => [name, gl.getUniformLocation(this.program, name)]));
    gl.useProgram(this.program);
    gl.enable(gl.DEPTH_TEST);
  }

  async load(parts) {
    const column = columnReader(await inflated(bytesOf(parts.packed)));
    const three = (width) => [0, 1, 2].map(() => column(parts.vertices, width));
    const positions = interleaved(three(2), Uint16Array, 4);
    const normals = interleaved(three(1), Int8Array, 4);
    const uv = interleaved([0, 1].map(() => column(parts.vertices, 2)), Uint16Array, 2);
    const indices = Uint32Array.from(column(3 * parts.faces, 3));
    const image = parts.texture && await createImageBitmap(new Blob([bytesOf(parts.texture)], { type: "image/webp" }));
    const gl = this.gl, mesh = { count: indices.length, low: parts.low, high: parts.high, buffers: [] };
    mesh.array = gl.createVertexArray();
    gl.bindVertexArray(mesh.array);
    this.attribute(mesh, 0, positions, 3, gl.UNSIGNED_SHORT, 8);
    this.attribute(mesh, 1, normals, 3, gl.BYTE, 4);
    this.attribute(mesh, 2, uv, 2, gl.UNSIGNED_SHORT, 4);
    this.buffer(mesh, gl.ELEMENT_ARRAY_BUFFER, indices);
    mesh.texture = this.texture(image);
    const half = [0, 1, 2].map((axis) => (parts.high[axis] - parts.low[axis]) / 2);
    mesh.centre = [0, 1, 2].map((axis) => (parts.high[axis] + parts.low[axis]) / 2);
    mesh.radius = Math.hypot(...half);
    return mesh;
  }

  buffer(mesh, target, data) {
    const buffer = this.gl.createBuffer();
    mesh.buffers.push(buffer);
    this.gl.bindBuffer(target, buffer);
    this.gl.bufferData(target, data, this.gl.STATIC_DRAW);
  }

  attribute(mesh, index, data, size, type, stride) {
    this.buffer(mesh, this.gl.ARRAY_BUFFER, data);
    this.gl.enableVertexAttribArray(index);
    this.gl.vertexAttribPointer(index, size, type, true, stride, 0);
  }

  texture(image) {
    const gl = this.gl, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    if (image) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([180, 180, 180, 255]));
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    return texture;
  }

  free(mesh) {
    mesh.buffers.forEach((buffer) => this.gl.deleteBuffer(buffer));
    this.gl.deleteVertexArray(mesh.array);
    this.gl.deleteTexture(mesh.texture);
  }

  draw(mesh, view, clay, target) {
    const gl = this.gl, { width, height } = target;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const { matrix, eye } = camera(mesh, view, width / height);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.bindVertexArray(mesh.array);
    gl.bindTexture(gl.TEXTURE_2D, mesh.texture);
    gl.uniformMatrix4fv(this.uniform.matrix, false, matrix);
    gl.uniform3fv(this.uniform.low, mesh.low);
    gl.uniform3fv(this.uniform.high, mesh.high);
    gl.uniform3fv(this.uniform.eye, eye);
    gl.uniform1i(this.uniform.clay, clay ? 1 : 0);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
    const context = target.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, 0);
  }
}

// z is up and azimuth 0 looks from +x, as in the project's cameras module.
function camera(mesh, view, aspect) {
  const azimuth = view.azimuth * DEGREE, elevation = view.elevation * DEGREE;
  const eye = [Math.cos(elevation) * Math.cos(azimuth), Math.cos(elevation) * Math.sin(azimuth), Math.sin(elevation)];
  const right = [-Math.sin(azimuth), Math.cos(azimuth), 0];
  const up = [-Math.sin(elevation) * Math.cos(azimuth), -Math.sin(elevation) * Math.sin(azimuth), Math.cos(elevation)];
  const distance = mesh.radius / Math.sin(FOVY_DEG / 2 * DEGREE) * 0.92 / view.zoom;
  const near = Math.max(distance - 1.1 * mesh.radius, 0.01 * mesh.radius), far = distance + 1.1 * mesh.radius;
  const focal = 1 / Math.tan(FOVY_DEG / 2 * DEGREE);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const rows = [[right, 0], [up, 0], [eye, -distance]].map(([axis, shift]) => [...axis, shift - dot(axis, mesh.centre)]);
  const [x, y, z] = rows, a = (far + near) / (near - far), b = 2 * far * near / (near - far);
  const matrix = [];
  for (let column = 0; column < 4; column++) {
    const bottom = column === 3 ? b : 0;
    matrix.push(x[column] * focal / aspect, y[column] * focal, z[column] * a + bottom, -z[column]);
  }
  return { matrix, eye };
}

// One canvas. Those that share a `view` object turn together.
class Viewer {
  constructor(canvas, source, view, painter) {
    Object.assign(this, { canvas, source, view, painter, mesh: null, clay: false, waiting: false });
    view.viewers.push(this);
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("dblclick", () => this.turn(view.start.azimuth - view.azimuth, view.start.elevation - view.elevation, 1 / view.zoom));
    canvas.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  async show() {
    Viewer.recent = [this, ...Viewer.recent.filter((other) => other !== this)];
    Viewer.recent.slice(LOADED_AT_MOST).forEach((other) => other.hide());
    Viewer.recent = Viewer.recent.slice(0, LOADED_AT_MOST);
    if (this.mesh || this.waiting) return;
    this.waiting = true;
    try {
      this.mesh = await this.painter.load(JSON.parse(this.source.textContent));
    } finally {
      this.waiting = false;
    }
    this.redraw();
  }

  hide() {
    if (this.mesh) this.painter.free(this.mesh);
    this.mesh = null;
  }

  redraw() {
    if (!this.mesh || this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      if (!this.mesh) return;
      const side = Math.max(1, Math.round(this.canvas.clientWidth * Math.min(window.devicePixelRatio || 1, 2)));
      if (this.canvas.width !== side) Object.assign(this.canvas, { width: side, height: side });
      this.painter.draw(this.mesh, this.view, this.clay, this.canvas);
      this.canvas.classList.add("drawn");
    });
  }

  turn(azimuth, elevation, zoom = 1) {
    const view = this.view;
    view.azimuth += azimuth;
    view.elevation = Math.max(-MOST_ELEVATION_DEG, Math.min(MOST_ELEVATION_DEG, view.elevation + elevation));
    view.zoom = Math.max(0.5, Math.min(6, view.zoom * zoom));
    view.viewers.forEach((viewer) => viewer.redraw());
  }

  grab(event) {
    let [x, y] = [event.clientX, event.clientY];
    this.canvas.setPointerCapture(event.pointerId);
    const move = (moved) => {
      this.turn((x - moved.clientX) * 0.5, (moved.clientY - y) * 0.5);
      [x, y] = [moved.clientX, moved.clientY];
    };
    const release = () => {
      this.canvas.removeEventListener("pointermove", move);
      this.canvas.classList.remove("held");
    };
    this.canvas.classList.add("held");
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("lostpointercapture", release, { once: true });
  }

  // Only once the canvas was clicked: a page that is scrolled past must not catch the wheel.
  zoom(event) {
    if (document.activeElement !== this.canvas) return;
    event.preventDefault();
    this.turn(0, 0, Math.exp(-event.deltaY * 0.001));
  }

  key(event) {
    const steps = { ArrowLeft: [10, 0], ArrowRight: [-10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10], "+": [0, 0, 1.2], "-": [0, 0, 1 / 1.2] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.turn(...steps[event.key]);
  }
}
Viewer.recent = [];
