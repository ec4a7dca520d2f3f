/**
 * The end of the word of SCRIPTS_SPLIT that begins at `at`.
 *
 * @param units UTF-16, of which what is behind `size` is no part of the text
 */
export declare function scriptWordEnd(units: Uint16Array, at: number, size: number): number
