/**
 * One thread of the WebAssembly backend: instantiates the module on the shared memory, takes a stack of
 * its own, and stays inside `work` until it is told to stop. Plain JavaScript, because it is started by
 * its URL in Node and in browsers.
 */
const port = globalThis.process?.versions?.node
  ? globalThis.process.getBuiltinModule('node:worker_threads').parentPort
  : globalThis

function start({ module, memory, control, thread, stackTop }) {
  const list_done = () => port.postMessage('done')
  const { exports } = new WebAssembly.Instance(module, { env: { memory, list_done } })
  exports.__stack_pointer.value = stackTop
  port.postMessage('ready')
  exports.work(control, thread)
  port.close()
}

if (port === globalThis) port.onmessage = ({ data }) => start(data)
else port.once('message', start)
