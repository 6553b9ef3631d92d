import { Body, Controller, Get, Headers, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiBody, ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import { InjectRepository } from '@nestjs/typeorm';
import { body, header, Idempotent } from 'nestjs-idempotency';
import { Repository } from 'typeorm';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ProblemException } from '../common/problems/problems.js';
import { RowId } from '../common/validation/row-id.js';
import { Transfer } from './transfer.entity.js';
import { AuditedTransferDto, TransferDto, TransferredDto } from './transfers.dto.js';

@Controller('transfers')
export class TransfersController {
  constructor(@InjectRepository(Transfer) private readonly transfers: Repository<Transfer>) {}

  /**
   * Every client has its own serial numbers. Only client and serial number together name a
   * transfer.
   */
  @Post()
  @Idempotent({ key: [header('X-Client-Id'), body('serialNo')] })
  @ApiBody({ type: TransferDto })
  @ApiCreatedResponse({ type: TransferredDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async transfer(
    @Headers('x-client-id') clientId: string,
    @Body() { serialNo, amount }: TransferDto,
    // A plain object is not validated, so this is everything that was sent.
    @Body() sent: Record<string, unknown>,
  ) {
    const transfer = this.transfers.create({
      clientId,
      serialNo: String(serialNo),
      amount,
      sent: JSON.stringify(sent),
    });
    await this.transfers.insert(transfer);
    return { id: transfer.id, clientId, serialNo, amount };
  }

  /** For auditors: the transfer, and what the caller really sent. */
  @Get(':id')
  @ApiOkResponse({ type: AuditedTransferDto })
  @ApiProblems(HttpStatus.NOT_FOUND)
  async audit(@Param() { id }: RowId) {
    const transfer = await this.transfers.findOneBy({ id });
    if (!transfer)
      throw new ProblemException(HttpStatus.NOT_FOUND, 'This transfer does not exist.');
    const { sent, ...fields } = transfer;
    return { ...fields, sent: JSON.parse(sent) as unknown };
  }
}
