/** Waits that end: a driver that hangs answers nothing, neither that it is done nor that it is lost. */

/** Between two looks. A page that was frozen or a machine that slept has waited for one of them, not for hours. */
const LOOK_MS = 5000

/**
 * What is answered within so many seconds.
 *
 * @throws what `late` gives, if nothing is
 */
export function inTime<T>(asked: Promise<T>, seconds: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    let looks = Math.ceil((1000 * seconds) / LOOK_MS)
    const look = () => {
      looks--
      if (looks <= 0) reject(late())
      else timer = setTimeout(look, LOOK_MS)
    }
    let timer = setTimeout(look, LOOK_MS)
    asked.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
