// Drawings of the products, small enough to live in the program: each is what stands inside a 100 by 100 SVG.
const shapes: Readonly<Record<string, { readonly back: string; readonly draw: string }>> = {
  sunglasses: {
    back: '#fde8c8',
    draw: '<path d="M12 42h76" stroke="#3b3b46" stroke-width="5"/><rect x="14" y="42" width="30" height="22" rx="10" fill="#3b3b46"/><rect x="56" y="42" width="30" height="22" rx="10" fill="#3b3b46"/>',
  },
  'tank-top': {
    back: '#d9ecf7',
    draw: '<path d="M32 18c2 16 34 16 36 0h8c0 18 4 22 8 26v40H16V44c4-4 8-8 8-26z" fill="#4a86a8"/>',
  },
  watch: {
    back: '#e9e3f4',
    draw: '<rect x="40" y="10" width="20" height="80" rx="4" fill="#7b6aa6"/><circle cx="50" cy="50" r="24" fill="#fff" stroke="#4b3f72" stroke-width="5"/><path d="M50 50V36M50 50l10 7" stroke="#4b3f72" stroke-width="4" stroke-linecap="round"/>',
  },
  loafers: {
    back: '#f3e0d5',
    draw: '<path d="M14 40h24c8 16 28 14 42 20 6 3 8 10 6 14H14z" fill="#8a5a3c"/><path d="M14 74h72v6H14z" fill="#4e3222"/>',
  },
  hairdryer: {
    back: '#fbdfe6',
    draw: '<path d="M16 30h44c14 0 22 8 22 16s-8 16-22 16H34L16 54z" fill="#c0516f"/><path d="M40 60l-6 28h14l6-28z" fill="#86324a"/>',
  },
  'candle-holder': {
    back: '#fff2c9',
    draw: '<rect x="42" y="34" width="16" height="34" fill="#f7f1e1"/><path d="M50 14c8 10 4 16 0 18-4-2-8-8 0-18z" fill="#f29f38"/><path d="M24 68h52l-8 14H32z" fill="#8d7647"/>',
  },
  shakers: {
    back: '#e0efe2',
    draw: '<path d="M24 40h20l5 44H19zM56 40h20l5 44H51z" fill="#fff" stroke="#5d8a66" stroke-width="3"/><path d="M24 40c0-16 20-16 20 0zM56 40c0-16 20-16 20 0z" fill="#5d8a66"/>',
  },
  jar: {
    back: '#eaf4ea',
    draw: '<rect x="26" y="32" width="48" height="54" rx="8" fill="#fff" stroke="#6f9c8d" stroke-width="4"/><rect x="24" y="18" width="52" height="14" rx="4" fill="#c99d5b"/><path d="M30 60h40v22H30z" fill="#e7c98f"/>',
  },
  mug: {
    back: '#dfe7f5',
    draw: '<path d="M70 40h8c14 0 14 26 0 26h-8" fill="none" stroke="#3f5f94" stroke-width="7"/><path d="M24 28h46v44a10 10 0 0 1-10 10H34a10 10 0 0 1-10-10z" fill="#3f5f94"/>',
  },
};

/** The drawing of a product as an SVG document, or undefined when there is none of that name. */
export function picture(name: string): string | undefined {
  const shape = shapes[name];
  if (!shape) return undefined;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" height="100" fill="${shape.back}"/>${shape.draw}</svg>`;
}
