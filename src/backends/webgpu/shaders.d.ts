/**
 * The text of every shader, by its operation's name: shaders.js, which scripts/build-shaders.mjs makes of
 * the .wgsl files, so that it is there wherever JavaScript is.
 */
export declare const shaders: Readonly<Record<string, string>>
