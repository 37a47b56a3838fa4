/** What we call of the npm package `bencode` 4, which ships no types. */
declare module 'bencode' {
  const bencode: { encode(value: number | Uint8Array): Uint8Array };
  export default bencode;
}
