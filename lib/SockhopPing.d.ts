export { SockhopPing, SockhopPong } from '../index';
